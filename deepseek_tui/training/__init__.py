"""Training: tokenizer, data, pretraining, distillation, tuning and export, with MLX alone."""
