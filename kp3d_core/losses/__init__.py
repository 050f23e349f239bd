"""The paper's losses, one function each, and the objective that weighs them."""
