"""The theme: maps Gradio's variables to our colours, fonts and spacing."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).parent
"""The folder of scripts, styles and templates, each beside its tab's Python."""

FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def theme() -> gr.themes.Base:
    """Gradio's variables refer to ours (shared/common.css), which have dark and light values."""
    return gr.themes.Base(font=FONT, font_mono=MONO, text_size="sm", radius_size="md", spacing_size="sm").set(
        body_background_fill="var(--ground)",
        body_background_fill_dark="var(--ground)",
        body_text_color="var(--text)",
        body_text_color_dark="var(--text)",
        body_text_color_subdued="var(--muted)",
        body_text_color_subdued_dark="var(--muted)",
        background_fill_primary="var(--panel)",
        background_fill_primary_dark="var(--panel)",
        background_fill_secondary="var(--raised)",
        background_fill_secondary_dark="var(--raised)",
        border_color_primary="var(--line)",
        border_color_primary_dark="var(--line)",
        border_color_accent="var(--accent)",
        border_color_accent_dark="var(--accent)",
        color_accent="var(--accent)",
        color_accent_soft="var(--raised)",
        color_accent_soft_dark="var(--raised)",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_padding="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="var(--muted)",
        block_label_text_color_dark="var(--muted)",
        block_title_background_fill="transparent",
        block_title_text_color="var(--muted)",
        block_title_text_color_dark="var(--muted)",
        block_title_text_size="12px",
        block_title_text_weight="500",
        block_info_text_color="var(--muted)",
        block_info_text_color_dark="var(--muted)",
        block_info_text_size="12px",
        input_background_fill="var(--field)",
        input_background_fill_dark="var(--field)",
        input_background_fill_focus="var(--field)",
        input_border_color="var(--edge)",
        input_border_color_dark="var(--edge)",
        input_border_color_focus="var(--accent)",
        input_border_color_focus_dark="var(--accent)",
        checkbox_border_color="var(--edge)",
        checkbox_border_color_dark="var(--edge)",
        checkbox_border_color_hover="var(--text)",
        checkbox_border_color_hover_dark="var(--text)",
        checkbox_background_color="var(--field)",
        checkbox_background_color_dark="var(--field)",
        checkbox_background_color_hover="var(--field)",
        checkbox_background_color_hover_dark="var(--field)",
        input_border_width="1px",
        input_border_width_dark="1px",
        input_placeholder_color="var(--muted)",
        input_placeholder_color_dark="var(--muted)",
        input_shadow="none",
        input_shadow_focus="none",
        input_shadow_focus_dark="none",
        input_padding="8px 10px",
        button_primary_background_fill="var(--duck)",
        button_primary_background_fill_dark="var(--duck)",
        button_primary_background_fill_hover="var(--duck-hover)",
        button_primary_background_fill_hover_dark="var(--duck-hover)",
        button_primary_text_color="#1b1500",
        button_primary_text_color_dark="#1b1500",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_primary_border_color_hover="transparent",
        button_primary_border_color_hover_dark="transparent",
        button_secondary_border_color_hover="var(--accent)",
        button_secondary_border_color_hover_dark="var(--accent)",
        button_secondary_background_fill="var(--raised)",
        button_secondary_background_fill_dark="var(--raised)",
        button_secondary_background_fill_hover="var(--line)",
        button_secondary_background_fill_hover_dark="var(--line)",
        button_secondary_text_color="var(--text)",
        button_secondary_text_color_dark="var(--text)",
        button_secondary_border_color="var(--line)",
        button_secondary_border_color_dark="var(--line)",
        button_border_width="1px",
        button_border_width_dark="1px",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        button_large_text_size="14px",
        button_large_text_weight="600",
        slider_color="var(--duck)",
        slider_color_dark="var(--duck)",
        loader_color="var(--duck)",
        error_background_fill="var(--raised)",
        error_background_fill_dark="var(--raised)",
    )
