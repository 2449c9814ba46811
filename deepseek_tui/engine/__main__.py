"""`python -m deepseek_tui.engine`: the engine child."""

from deepseek_tui.engine.server import main

if __name__ == "__main__":
    main()
