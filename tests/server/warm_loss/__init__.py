from comfy_api.latest import ComfyExtension, io


class WarmLoss(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="WarmLoss",
            display_name="Warm Loss",
            category="my losses",
            inputs=[io.Float.Input("weight", default=0.5, min=0.0, max=100.0, step=0.05)],
            outputs=[io.Custom("TOKENOPT_LOSS").Output(display_name="loss")],
        )

    @classmethod
    def execute(cls, weight):
        def warm(images):  # (b, 3, h, w) in [0, 1] -> (b,)
            return weight * (images[:, 2] - images[:, 0]).mean((1, 2))  # less blue, more red

        return io.NodeOutput(warm)


class WarmLossExtension(ComfyExtension):
    async def get_node_list(self):
        return [WarmLoss]


async def comfy_entrypoint():
    return WarmLossExtension()
