#!/bin/sh
# Puts Sparsescope where desktops look for programs: install.sh [PREFIX] (default ~/.local).
# Build it first: cargo build --release
set -eu
cd "$(dirname "$0")/../.."
prefix=${1:-"$HOME/.local"}
binary=${CARGO_TARGET_DIR:-target}/release/sparsescope
[ -x "$binary" ] || { echo "There is no $binary yet: run cargo build --release first" >&2; exit 1; }

install -D -m 755 "$binary" "$prefix/bin/sparsescope"
install -D -m 644 packaging/linux/sparsescope.desktop "$prefix/share/applications/sparsescope.desktop"
install -D -m 644 packaging/linux/sparsescope.metainfo.xml "$prefix/share/metainfo/sparsescope.metainfo.xml"
install -D -m 644 icons/sparsescope.svg "$prefix/share/icons/hicolor/scalable/apps/sparsescope.svg"
for size in 16 32 48 64 128 256 512; do
  png=icons/sparsescope-$size.png
  [ ! -f "$png" ] || install -D -m 644 "$png" "$prefix/share/icons/hicolor/${size}x$size/apps/sparsescope.png"
done
echo "Installed in $prefix. The window also needs these system libraries (Debian, Ubuntu):"
echo "  sudo apt-get install -y libegl1 libgl1-mesa-dri libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0 libwayland-egl1"
