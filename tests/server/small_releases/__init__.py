"""A pack for test_downloads.py: in this server the names of released models mean small ones.

Only what is behind the names is another: layouts, files, nodes and the way to get them are as for
everybody. It is done when the first prompt comes, because packs are loaded in no certain order.
"""

import sys
from dataclasses import replace
from pathlib import Path

from server import PromptServer

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # last, so that nothing of ComfyUI's is hidden
FOLDER = Path(__file__).resolve().parent

from devtools.templates.released import TEXT_AWARE, TOKENIZER, small  # noqa: E402

done = []


def module(ending):
    (found,) = (module for name, module in sys.modules.items() if name.endswith(ending))
    return found


def make_small(prompt):
    if not done:
        import open_clip

        registry, captions = (module(name) for name in ("tokenizers.registry", "loaders.captions"))
        for name in (TOKENIZER, TEXT_AWARE):
            release = registry.RELEASES[name]
            registry.RELEASES[name] = replace(release, spec=small(release.spec))
        spec = registry.RELEASES[TEXT_AWARE].spec
        captions.CAPTION_SHAPE = (spec.text_length, spec.text_size)
        open_clip.add_model_config(FOLDER)
        done.append(True)
    return prompt


PromptServer.instance.add_on_prompt_handler(make_small)
NODE_CLASS_MAPPINGS = {}
