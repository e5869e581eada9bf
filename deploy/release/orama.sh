#!/bin/sh
# The command line of the release that this file is in, with the Node of that release.
folder=$(dirname "$(readlink -f "$0")")
exec "$folder/node" "$folder/../cmd/orama/dist/main.js" "$@"
