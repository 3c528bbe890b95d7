#!/bin/sh
# Makes a Python environment for the trainer from the lock files; images and tests use the same script.
#
#   install.sh torch|torch-cuda|tensorflow|mlflow|dev FOLDER [dev]
#
# With STAGE, the folder will lie at FOLDER without that prefix.
# Needs Python 3.11 or later ($PYTHON, else python3); torch without CUDA also needs cc and readelf (see cpu_only.py).
set -eu
set_name=$1
folder=$2
here=$(cd "$(dirname "$0")" && pwd)
"${PYTHON:-python3}" -m venv "$folder"
pip() { "$folder/bin/python" -m pip --disable-pip-version-check install --quiet --no-compile --no-deps --require-hashes --only-binary :all: "$@"; }
pip -r "$here/requirements/$set_name.txt"
if [ "${3:-}" = dev ]; then
  pip -r "$here/requirements/dev.txt"
fi
if [ "$set_name" = torch ] && [ "$(uname -m)" = x86_64 ]; then
  "$folder/bin/python" "$here/cpu_only.py"
fi
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# On all cores, which pip does not do, and valid without the files' times, which an image does not keep. Some packages
# ship templates that are no Python.
"$folder/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash ${STAGE:+-s "$STAGE" -p /} "$site" \
  > /dev/null || true
if ! ls "$site"/*/__pycache__ > /dev/null 2>&1; then
  echo "install.sh: nothing in $site could be compiled, and each start would be slow: is the disk full?" >&2
  exit 1
fi
if [ "$set_name" != mlflow ]; then
  # The package itself is found by path: it has no build step.
  echo "$here" > "$site/slipway_trainer.pth"
fi
