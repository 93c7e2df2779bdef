"""The note beside the nodes of each template (Markdown)."""

NOTES = {
    "text_edit": """## Edit an image by text

1. **Demo Scene** draws a small image; **TiTok Encode** turns it into a few tokens.
2. **Token Optimizer** changes the tokens step by step until **CLIP Loss** finds that the decoded \
image matches the *prompt*. Watch it in the node.

Press **Run**. Then change the prompt: name a colour, a shape, a place, a background.

For your own pictures put **Load Image** in place of Demo Scene, and choose a released model in \
**Load TiTok** and **Load CLIP Guide**.""",
    "generate_from_noise": """## Images out of nothing but a text

**Random Tokens** decode to nothing in particular; **Token Optimizer** makes them match the \
*prompt*. Another *seed* gives another image.

A little noise on the tokens (`token_noise`) and an average over the last steps (`ema`) keep the \
result from getting stuck.""",
    "inpaint": """## Change one part, keep the rest

White in the mask may change. **CLIP Loss** says what shall be there, **L1 Masked Loss** keeps the \
black part as it is, and **Combine Losses** adds the two.

`reset_every` puts the known pixels back and encodes the image again every so many steps. At the \
end they are copied from the original, so nothing outside the mask is lost.""",
    "token_copy": """## What does a token mean?

**Token Copy** takes the tokens at *positions* from the reference image and puts them into the \
target. No optimization: only encode, copy, decode.

Try other positions, one at a time, and see what each of them carries.""",
}
