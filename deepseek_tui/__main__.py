"""`python -m deepseek_tui` is the command `deepseek-tui`."""

from deepseek_tui.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
