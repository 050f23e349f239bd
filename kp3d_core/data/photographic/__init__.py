"""Light "photographs": what surrounds objects, what they are made of, and how both are drawn."""
