"""How a model file behaves beyond the paper's images, on objects that training never touched."""
