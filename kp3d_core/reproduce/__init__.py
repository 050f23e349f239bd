"""The paper's experiments on the built-in categories: data, training, measuring, tables."""
