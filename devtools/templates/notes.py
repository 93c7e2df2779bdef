"""The note beside the nodes of each template (Markdown)."""

NOTES = {
    "easy_text_edit": """## Edit a picture by text

Write into *prompt* what the picture should show, press **Run**. Watch it in the node; *Stop and \
keep* ends it early.

It comes back in its own size. The node makes a few *tries* side by side and keeps the best; \
*steps* is how far it goes.

**Your own picture**: put **Load Image** in place of Demo Scene, and set *models* to photos. The \
first run then downloads 3.2 GB into ComfyUI's models folder.

For more control take the template *text_edit*, which has the parts of this node.""",
    "easy_inpaint": """## Replace one part of a picture

White in the mask may change. Write into *prompt* what the white part and its surroundings \
should show, press **Run**. Everything else stays as it is, to the last bit.

**Your own picture**: put **Load Image** in place of Demo Scene and of *Mask*, right-click it, \
*Open in MaskEditor*, paint what shall go, with its shadow, *Save*. Set *models* to photos. The \
first run then downloads 3.2 GB into ComfyUI's models folder.

Large photos are fine: only the surroundings of the white part are worked on (*margin*), and put \
back with a soft edge.

For more control take the templates *inpaint* and *any_size*, which have the parts of this node.""",
    "any_size": """## A part of a large picture

A tokenizer sees a small square: 64x64 pixels in the demo, 256x256 with a released model. **Fit \
Image** takes the surroundings of the mask out of a picture of any size and shape, **Paste Back** \
puts the edited square back with a soft edge. All other pixels stay what they are.

**Your own picture**: connect **Load Image** to the dot behind *A wide picture*, and its MASK \
(*Open in MaskEditor*) to **Fit Image**. Choose a released model in **Load TiTok** and **Load \
CLIP Guide**, and the paper's 8 *crops* and *mirror* on; an *lr* of 0 follows the model.

*margin* says how much of the surroundings the models see. Without a mask *mode* says how the \
whole picture becomes a square: cropped, padded or stretched. An upscale model between **Token \
Optimizer** and **Paste Back** makes the new part finer.""",
    "text_edit": """## Edit an image by text

1. **Demo Scene** draws a small image; **TiTok Encode** turns it into a few tokens.
2. **Token Optimizer** changes the tokens step by step until **CLIP Loss** finds that the decoded \
image matches the *prompt*. Watch it in the node.

Press **Run**. Then change the prompt: name a colour, a shape, a place, a background.

An *lr* of 0 is the learning rate that suits the tokenizer. Not what you asked for? Another *seed* \
in **Token Optimizer**; *easy_text_edit* makes several tries by itself.

For your own pictures put **Load Image** in place of Demo Scene, choose a released model in **Load \
TiTok** and **Load CLIP Guide**, and take the paper's 8 *crops* and *mirror* on; or open \
*l32_text_edit*, which has its settings.""",
    "generate_from_noise": """## Images out of nothing but a text

**Random Tokens** decode to nothing in particular; **Token Optimizer** makes them match the \
*prompt*, four at once, because one in three or so goes astray. **Seed Retrieval** keeps the one \
that CLIP finds nearest. Other *seeds* give other images.

A little noise on the tokens (`token_noise`) looks around more, an average over the last steps \
(`ema`) comes to rest. Switch either off and compare.""",
    "several_prompts": """## Several prompts at once

Four copies of one image, four lines in *prompt*: each image follows its own line, and comes out \
as if it had been alone.

A line can have several parts: `a red circle:1 | dark:-0.2` pulls towards the first and a little \
away from the second; `a circle:1@0-0.5 | a star:1@0.5-1` changes its mind halfway. **Judge** \
tells how each result fits, by CLIP and by somebody CLIP cannot fool.

Try your own lines, or one line for all four.""",
    "image_prompt": """## An image as the prompt

**Image Prompt Loss** asks for images that look, to CLIP, like the *image prompt*: its content \
and colours, not its pixels.

Change the second **Demo Scene** and run again. Add a **CLIP Loss** by **Combine Losses** to say \
in words what the picture does not say.

For your own pictures put **Load Image** in place of both scenes.""",
    "inpaint": """## Change one part, keep the rest

White in the mask may change. **CLIP Loss** says what shall be there, **L1 Masked Loss** keeps \
the black part. At the end the known pixels are copied from the original: nothing outside the \
mask is lost. Press **Run**: picture and mask of the demo need no file.

**Your own picture**, in the frame below *Mask*:

1. *choose file to upload*.
2. Right-click the node, *Open in MaskEditor*. Paint what may change (*Opacity* to the right end; \
less *Hardness* gives soft edges). *Save*.
3. Drag its IMAGE and its MASK onto the two dots in the frame *Picture and mask*.
4. Write the *prompt* for your picture, **Run**.

It comes back in its own size and shape. The painted part is as fine as the model draws: 64x64 \
pixels for the whole picture here, 256x256 with a released model, which photos need.

`reset_every` puts the known pixels back and encodes again every so many steps.""",
    "sweep": """## Which value is best?

**Sweep** runs the optimizer once for each pair of values and shows all results: the columns are \
learning rates, the rows strengths of the noise. Its table, in the node, has the losses; the \
lowest has a frame. Look at the images too: a low loss is not always a good picture.

Try *setting_1* = prompt with two or three prompts, with `;` between them, or seed with 1; 2; 3.

*Stop and keep* in the node ends it early with what is there.""",
    "trajectory": """## Watch it happen

**Token Optimizer** keeps frames of the run (*trajectory_frames* in **Token Optimizer Options**); \
**Save Animated WEBP** makes a small film of them. The *chart* shows the loss beside it.

Tokens change one by one, so the image jumps rather than flows. Try `quantize` off (it flows, and \
gets worse), a smaller `lr`, or `lr_schedule` = constant, which never comes to rest.""",
    "token_copy": """## What does a token mean?

To the tokenizer each image is 16 tokens: the coloured cells of **Token Inspector**, there after \
the first **Run**. **Token Copy** takes some of them from the reference and puts them into the \
target. No optimization: only encode, copy, decode. Here token 6 brings the dark into the bright \
picture, and nothing else.

Click another cell of the reference and run again: what does it carry? Shift and Ctrl select \
several. In *Result* a filled corner marks what is new since the run before.

Or edit by hand: drag a cell from one strip onto the other, or double-click one and type another \
code.""",
    "token_importance": """## Which token carries the light?

**Token Importance** sorts 64 scenes by CLIP: *bright* or *dark*, and below the empty line *sharp* \
or *blurred*. The positions whose tokens differ most win; the *chart* shows all of them, and below \
what happens to an image when the mean takes a token's place.

The winners go straight into **Token Copy**: the target gets the light and the focus of the \
reference, and nothing else. **Pixel Influence** shows where in the target each token acts.

Try other prompts: `a shape on the left` / `a shape on the right`, or `plain background` / \
`striped background`. Not every property sits in one token: raise *best*, and look at the result.

For your own pictures put them into a folder of ComfyUI's input directory, write its name into \
*folder*, and disconnect *image*.""",
    "morph": """## From one image to another

**Token Blend** moves every token of the first image a little further towards the second; \
**TiTok Decode** makes an image of each step, **Save Animated WEBP** a film of all. Below, the \
same way in four stages.

Between two codes the tokens mean something too: switch *quantize* on to see what the codes alone \
can do. Change the scenes, or let only some *positions* move. A shape that has to cross the \
picture does not fly: it dissolves, and forms anew.""",
    "image_as_text": """## An image as a line of text

**Tokens to Text** writes the whole image as 48 letters, shown in the node; **Text to Tokens** \
makes the same image of them, to the last bit.

Copy the line, disconnect the link to **Text to Tokens**, paste it there: with this tokenizer it \
gives this image, in any workflow. Change one letter, and you are told.

**Save Image with Record** keeps the line inside the PNG. Drop such a file onto **Tokens of a \
Saved Image** to go on where it was made.""",
    "attribute_transfer": """## A property, learnt from examples

24 dark scenes, and the same 24 bright: **Attribute Vector** takes the difference of their mean \
tokens, here at the one position that tells them apart best (*strongest*). **Apply Attribute** \
adds it to two scenes that it has never seen, or subtracts it: *strengths* -1 gives both by day, \
1 both by night. No optimization, no training: it takes no time.

Try other properties: set *focus*, *size*, *colour* or *background* in place of *light* in the \
two scenes of examples, with *strongest* 4 or 0 (all positions). Try other strengths: half a \
step often does nothing, because only codes of the codebook can be drawn; 1.5 does more.

**Save Attribute** keeps it as a small file for other workflows. For your own pictures put a \
batch of images with the property, and one without, in place of the scenes.""",
    "seed_retrieval": """## Start near the goal

**Seed Retrieval** looks at 64 scenes and gives each line of *Prompts* the one that CLIP finds \
nearest. Its table tells which, and how near. A seed that shows half of the prompt already needs \
few steps: here 150.

**CLIP Loss** gets the same lines, so that each seed follows its own. Compare *Save seeds* with \
*Save after*. Then set *choose* to random, and see how far 150 steps get from anywhere.

For your own pictures put them into a folder of ComfyUI's input directory, write its name into \
*folder*, and disconnect *image*.""",
    "perturb_search": """## What can one token do?

**Token Perturb Search** tries other codes at each token, one token at a time, and keeps the one \
that changes the image most. The sheet shows the results and, below them, where the image changed: \
some tokens hold the colour, some the place, one the light.

*share* is the part of the codebook that is tried. Set *search* to exact to try all of it, at one \
or two *positions*.

Connect a **CLIP Loss** and set *direction* to minimize: now it finds the one token that brings \
the image closest to a text. A **mask** says where a change counts.""",
}
