"""Parametric planes: airliners, business jets, turboprops, light planes, fighters, gliders."""
