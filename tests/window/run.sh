#!/usr/bin/env bash
# A real window on a virtual display: open a Llama, train a little, read what was found, take pictures.
# Usage: tests/window/run.sh [BINARY [FOLDER]]   (default target/debug/sparsescope; pictures stay in FOLDER)
# The Llama is $SPARSESCOPE_REAL/models/stories260K where that is there, else the built-in one.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(realpath "${1:-target/debug/sparsescope}")
command -v xvfb-run >/dev/null || { echo "xvfb-run is missing: apt-get install xvfb xauth" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pictures=${2:-$work/pictures}
mkdir -p "$pictures"
pictures=$(realpath "$pictures")

open="wait"
if [ -d "${SPARSESCOPE_REAL:-/nowhere}/models/stories260K" ]; then
  text=$SPARSESCOPE_REAL/data/text/tinystories/tinystories_2MiB.txt
  open="open $SPARSESCOPE_REAL/models/stories260K; wait"
  [ ! -f "$text" ] || open="$open; open $text; wait"
else
  echo "SPARSESCOPE_REAL names no folder with models/stories260K: the built-in model stands in"
fi
# The built-in model first: one of its own behaviours, and the circuit of it.
circuit="wait; task simple; wait; sleep 0.6; wait; shot $pictures/task.png; find; wait; sleep 1; wait; shot $pictures/circuit.png; good"
script="$circuit; $open; go model; sleep 0.3; shot $pictures/model.png; go train; train 100000; wait; shot $pictures/trained.png; good"
script="$script; features; wait; sleep 0.3; shot $pictures/features.png; prompt Once there was a little; wait; sleep 0.3; shot $pictures/prompt.png"
script="$script; edit resid.2/17 scale 2; wait; write Once there was a little; wait; sleep 0.3; shot $pictures/steer.png; good"
script="$script; go directions; wait; sleep 0.3; shot $pictures/directions.png; svg $pictures/directions.svg; go labels; wait; shot $pictures/labels.png; good; exit"

# Mesa's software rasteriser; no Wayland of the machine's own may come in between.
status=0
env -u WAYLAND_DISPLAY LIBGL_ALWAYS_SOFTWARE=1 timeout 300 \
  xvfb-run -a -s "-screen 0 1400x900x24" \
  "$binary" --workspace "$work/workspace" --script "$script" >"$work/log" 2>&1 || status=$?
if [ "$status" != 0 ]; then
  cat "$work/log" >&2
  echo "The window ended with $status" >&2
  exit 1
fi

# A picture of one colour is a few kB; a drawn window is ten times that.
for name in task circuit model trained features prompt steer directions labels; do
  size=$(stat -c %s "$pictures/$name.png")
  echo "$name.png: $size bytes"
  [ "$size" -gt 20000 ] || { echo "$name.png is blank" >&2; exit 1; }
done
if cmp -s "$pictures/model.png" "$pictures/trained.png"; then
  echo "The two screens look the same" >&2
  exit 1
fi

grep -q "</svg>" "$pictures/directions.svg" || { echo "directions.svg is not whole" >&2; exit 1; }

# The run is in the workspace, trained to its end.
"$binary" inspect "$work/workspace" --json >"$work/workspace.json"
grep -q '"status":"done"' "$work/workspace.json" || { cat "$work/workspace.json" >&2; exit 1; }
echo "The window opened, trained, read what was found, and closed."
