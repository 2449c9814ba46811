"""How good a model is: perplexity, a suite of checkable chats, multiple choice, and comparisons of two."""
