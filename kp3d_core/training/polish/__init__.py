"""Last stage of training: network and refiner together, as they are exported."""
