"""Actions and observations of the Token Inspector's tests on the page."""

from __future__ import annotations

from devtools.comfyui.checks import node
from devtools.comfyui.client import Graph
from devtools.comfyui.frontend import FrontEnd

RENDERERS = ("classic", "new")
SCENE = {
    "seed": 7,
    "batch_size": 1,
    "shape": "heart",
    "colour": "yellow",
    "size": "large",
    "position": "middle",
    "background": "sky",
    "pattern": "plain",
}
COLUMNS = [["1", "2", "3"], ["4", "5"], ["6", "7"], ["8", "9"]]
PLACE = """([columns, fixed]) => {
    columns.forEach((column, x) => column.forEach((id, y) => {
        app.graph.getNodeById(id).pos = [x * 520, y * 480];
    }));
    for (const node of app.graph._nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name in fixed) widget.value = fixed[widget.name];
}"""
SETTING = """async (on) => {
    const settings = app.extensionManager.setting, name = 'Comfy.VueNodes.Enabled';
    if (settings.get(name) === on) return false;
    await settings.set(name, on);
    return true;
}"""
INTO_SUBGRAPH = """async () => {
    app.canvas.selectItems([4, 6].map((id) => app.graph.getNodeById(id)));
    await app.extensionManager.command.execute('Comfy.Graph.ConvertToSubgraph');
    const outer = app.graph._nodes.find((node) => node.subgraph);
    app.canvas.openSubgraph(outer.subgraph, outer);
}"""
OTHER_TAB_AND_BACK = """async () => {
    const { workflow, command } = app.extensionManager;
    const here = workflow.activeWorkflow.path;
    await command.execute('Comfy.NewBlankWorkflow');
    await new Promise((done) => setTimeout(done, 300));
    for (let tabs = 0; tabs < 30 && workflow.activeWorkflow.path !== here; tabs++)
        await command.execute('Workspace.PreviousOpenedWorkflow');
    await new Promise((done) => setTimeout(done, 500));
}"""
ON_THE_PAGE = """() => Object.fromEntries(
    [...document.querySelectorAll('.tokenopt-inspector')]
        .filter((strips) => strips.offsetHeight).map((strips) => {
            const own = (node) => node.widgets?.some((widget) => widget.element?.contains(strips));
            return [app.canvas.graph._nodes.find(own)?.id, strips.strips.host.read('edits')];
        }))"""
ELEMENT = (
    "id => app.canvas.graph.getNodeById(id).widgets.find(w => w.name === 'tokenopt_strips').element"
)


def two_inspectors() -> Graph:
    """A bright scene inspected by node 6 and a dark one by node 7; 8 copies position 0 from 7 to 6,
    9 saves the image of 6."""

    def inspect(number: str) -> dict:
        source = {"tokenizer": ["1", 0], "tokens": [number, 0]}
        return node("TokenOpt_Inspect", **source, edits="", positions="")

    def encode(number: str) -> dict:
        source = {"tokenizer": ["1", 0], "image": [number, 0]}
        return node("TokenOpt_Encode", **source, sample=False, sample_seed=0)

    return {
        "1": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "2": node("TokenOpt_DemoScene", **SCENE, light="bright", focus="sharp"),
        "3": node("TokenOpt_DemoScene", **SCENE, light="dark", focus="sharp"),
        "4": encode("2"),
        "5": encode("3"),
        "6": inspect("4"),
        "7": inspect("5"),
        "8": node("TokenOpt_Copy", target=["6", 0], reference=["7", 0], positions="0"),
        "9": node("SaveImage", images=["6", 2], filename_prefix="tokenopt/inspected"),
    }


def use_renderer(frontend: FrontEnd, name: str) -> None:
    """Switches to ComfyUI's classic or new ("Nodes 2.0") rendering of nodes."""
    if frontend.page.evaluate(SETTING, name == "new"):
        frontend.page.wait_for_timeout(300)


def alerts(frontend: FrontEnd) -> list[str]:
    """What the page tells, without its question how one likes the new rendering."""
    return [said for said in frontend.alerts() if "legacy design" not in said]


def open_inspectors(frontend: FrontEnd, renderer: str) -> tuple[Inspector, Inspector]:
    use_renderer(frontend, "classic")
    frontend.load_api(two_inspectors(), "inspect")
    fixed = {"control_after_generate": "fixed", "seed": SCENE["seed"]}
    frontend.page.evaluate(PLACE, [COLUMNS, fixed])
    use_renderer(frontend, renderer)
    frontend.fit_view()
    return Inspector(frontend, "6"), Inspector(frontend, "7")


class Inspector:
    """A Token Inspector node on the page."""

    def __init__(self, frontend: FrontEnd, number: str) -> None:
        self.page, self.number = frontend.page, number

    def find(self, selector: str):
        element = self.page.evaluate_handle(ELEMENT, self.number).as_element()
        return element.query_selector(selector)

    def cell(self, position: int, image: int = 0):
        """Its element; a page that was just opened may take a moment to draw it."""
        selector = f'.tokenopt-cell[data-image="{image}"][data-position="{position}"]'
        for _ in range(50):
            found = self.find(selector)
            if found is not None:
                return found
            self.page.wait_for_timeout(100)
        raise AssertionError(f"inspector {self.number} shows no cell {position} of image {image}")

    def codes(self) -> list[int]:
        cells = self.page.evaluate_handle(ELEMENT, self.number).as_element()
        return [int(code.inner_text()) for code in cells.query_selector_all(".tokenopt-code")]

    def codes_soon(self) -> list[int]:
        """The same, once there are some: a page shows them a moment after an undo, say."""
        self.cell(0)
        return self.codes()

    def widget(self, name: str) -> str:
        return widget_value(self.page, self.number, name)

    def status(self) -> str:
        return self.find(".tokenopt-status").inner_text()

    def changed(self) -> list[int]:
        """Positions of the cells that are marked as not the same in the run before."""
        cells = self.page.evaluate_handle(ELEMENT, self.number).as_element()
        marked = cells.query_selector_all(".tokenopt-changed")
        return [int(cell.get_attribute("data-position")) for cell in marked]

    def changed_soon(self) -> list[int]:
        """The same, once some are marked: a page redraws them a moment after a key."""
        for _ in range(50):
            if self.changed():
                break
            self.page.wait_for_timeout(100)
        return self.changed()

    def type_code(self, position: int, code: int) -> None:
        """By keys alone."""
        self.cell(position).focus()
        for key in ("Enter", *str(code), "Enter"):
            self.page.keyboard.press(key)

    def click(self, position: int, *keys: str) -> None:
        self.cell(position).click(modifiers=keys)

    def drag(self, position: int, target) -> None:
        """Drags a cell onto another element, like a hand: in some steps."""
        x, y = middle(self.cell(position))
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        mouse.move(*middle(target), steps=4)
        mouse.up()

    def focused(self) -> int | None:
        """Position of this inspector's cell with the focus."""
        script = "(root) => root.contains(document.activeElement) ? document.activeElement : null"
        root = self.page.evaluate_handle(ELEMENT, self.number)
        found = self.page.evaluate_handle(script, root).as_element()
        return int(found.get_attribute("data-position")) if found else None

    def focused_soon(self) -> int | None:
        """The same, once there is one: after an undo the cells are drawn anew."""
        for _ in range(50):
            if (position := self.focused()) is not None:
                return position
            self.page.wait_for_timeout(100)
        return None


class Fingers:
    """A touch screen for the page."""

    def __init__(self, frontend: FrontEnd) -> None:
        self.page = frontend.page
        self._session = self.page.context.new_cdp_session(self.page)

    def go(self, *path: tuple[float, float], second: tuple[float, float] | None = None) -> None:
        """Puts a finger down at the first point, leads it through the others and lifts it.

        Args:
            second: where another finger comes down meanwhile.
        """
        self._send("touchStart", path[0])
        for point in path[1:]:
            self.page.wait_for_timeout(30)
            self._send("touchMove", point)
        if second:
            self._send("touchStart", path[-1], second)
        self._send("touchEnd")
        self.page.wait_for_timeout(150)

    def _send(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def hit(frontend: FrontEnd, *keys: str) -> None:
    """Presses keys together, as slowly as a hand."""
    for key in keys:
        frontend.page.keyboard.down(key)
        frontend.page.wait_for_timeout(40)
    for key in reversed(keys):
        frontend.page.keyboard.up(key)
    frontend.page.wait_for_timeout(400)


def middle(element) -> tuple[float, float]:
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def widget_value(page, number: str, name: str) -> str:
    script = (
        "([id, name]) => app.canvas.graph.getNodeById(id).widgets.find(w => w.name === name).value"
    )
    return page.evaluate(script, [number, name])
