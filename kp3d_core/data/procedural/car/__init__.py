"""Parametric cars: sedans, hatchbacks, SUVs, pickups, vans, buses and sports cars."""
