"""The full-screen chat. Never imports MLX: models run in the engine child process."""
