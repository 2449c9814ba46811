"""The app's own colours, dark and light: one blue that means "here", greys for the rest.

The greys have so little colour that a terminal of 256 colours shows different greys, not all as black.
"""

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
    foreground="#d8dae0",
    background="#131417",
    surface="#1b1c21",
    panel="#2a2c33",
    variables={
        "border": "#6c8cff",
        "border-blurred": "#4a4e59",
        "footer-key-foreground": "#6c8cff",
        "input-selection-background": "#6c8cff 35%",
        "block-cursor-text-style": "bold",
        "scrollbar": "#363942",
        "scrollbar-hover": "#545864",
        "scrollbar-active": "#6c8cff",
        "scrollbar-background": "#131417",
        "scrollbar-background-hover": "#131417",
        "scrollbar-background-active": "#131417",
        "scrollbar-corner-color": "#131417",
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
        "border-blurred": "#b4b8c4",
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
