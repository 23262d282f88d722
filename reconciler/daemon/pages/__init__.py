"""What a browser sees: from the board to what is shown (pure), and from that to HTML, SVG and JSON.

Everything that was written elsewhere is text: masked, without characters that reorder or hide others, and escaped.
"""
