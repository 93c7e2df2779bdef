"""Images and tables of results, without ComfyUI: charts, bars, sheets and words."""
