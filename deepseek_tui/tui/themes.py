"""The app's own colours, dark and light: one blue that means "here", greys for the rest."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="deepseek-dark",
    dark=True,
    primary="#6c8cff",
    secondary="#8aa0d8",
    accent="#6c8cff",
    success="#6fc48d",
    warning="#e0b065",
    error="#ef7b86",
    foreground="#d5dae6",
    background="#12141c",
    surface="#181b25",
    panel="#252a38",
    variables={
        "border": "#6c8cff",
        "border-blurred": "#343b4e",
        "footer-key-foreground": "#6c8cff",
        "input-selection-background": "#6c8cff 35%",
        "block-cursor-text-style": "bold",
        "scrollbar": "#2c3242",
        "scrollbar-hover": "#465068",
        "scrollbar-active": "#6c8cff",
        "scrollbar-background": "#12141c",
        "scrollbar-background-hover": "#12141c",
        "scrollbar-background-active": "#12141c",
        "scrollbar-corner-color": "#12141c",
    },
)

LIGHT = Theme(
    name="deepseek-light",
    dark=False,
    primary="#3556d6",
    secondary="#4d62a8",
    accent="#3556d6",
    success="#217a43",
    warning="#8f5a00",
    error="#b3263a",
    foreground="#1f2430",
    background="#fbfbfd",
    surface="#f1f3f8",
    panel="#e2e6f0",
    variables={
        "border": "#3556d6",
        "border-blurred": "#c3c9d8",
        "footer-key-foreground": "#3556d6",
        "input-selection-background": "#3556d6 25%",
        "block-cursor-text-style": "bold",
        "scrollbar": "#d3d8e4",
        "scrollbar-hover": "#aeb6ca",
        "scrollbar-active": "#3556d6",
        "scrollbar-background": "#fbfbfd",
        "scrollbar-background-hover": "#fbfbfd",
        "scrollbar-background-active": "#fbfbfd",
        "scrollbar-corner-color": "#fbfbfd",
    },
)

THEMES = (DARK, LIGHT)
