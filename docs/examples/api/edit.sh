#!/bin/sh
# The same as edit.py with nothing but curl: sends a picture, runs a workflow, fetches the results.
#
#     sh edit.sh http://127.0.0.1:8188 workflow.json results [photo.png ["a red fox" [seed]]]
#
# In the workflow (API format) write "%image%", "%prompt%" and "%seed%" where these belong; ComfyUI
# takes a number in quotes as well. Ends with 0, or 1: no server or file, 3: refused, 4: failed or
# cancelled. The names that the workflow gives to its results must be ASCII.
set -eu
server=${1%/} workflow=$2 out=$3 photo=${4-} prompt=${5-} seed=${6-0}

# The last value of a key in the input, which is JSON in one line; as it stands there.
value() { sed -nE "s/.*\"$1\": *\"(([^\"\\\\]|\\\\.)*)\".*/\1/p"; }
json() { printf '%s' "$1" | tr '\n' ' ' | sed 's/\\/\\\\/g; s/"/\\"/g'; }
for_sed() { printf '%s' "$1" | sed 's/[\\&|]/\\&/g'; }

test -f "$workflow" || { echo "There is no workflow $workflow." >&2; exit 1; }
image=
if [ -n "$photo" ]; then
    image=$(curl -fsS -F "image=@\"$photo\"" "$server/upload/image") || exit 1
    image=$(printf '%s' "$image" | value name)
fi

request() {
    printf '{"prompt": '
    sed -e "s|%image%|$(for_sed "$image")|g" -e "s|%seed%|$seed|g" \
        -e "s|%prompt%|$(for_sed "$(json "$prompt")")|g" "$workflow"
    printf '}'
}
answer=$(request | curl -sS -H 'Content-Type: application/json' --data-binary @- "$server/prompt") || exit 1
id=$(printf '%s' "$answer" | value prompt_id)
if [ -z "$id" ] || ! printf '%s' "$answer" | grep -q '"node_errors": *{}'; then
    printf 'ComfyUI refused the workflow: %s\n' "$answer" >&2
    exit 3
fi
trap 'curl -sS -d "{\"prompt_id\": \"$id\"}" "$server/interrupt"; exit 130' INT

# A run that waits or is working is not in the history yet.
while history=$(curl -fsS "$server/history/$id") && [ "$history" = "{}" ]; do sleep 1; done
if [ "$(printf '%s' "$history" | value status_str)" != success ]; then
    reason=$(printf '%s' "$history" | value exception_message | sed 's/\\n/ /g')
    printf '%s\n' "${reason:-The run was cancelled.}" >&2
    exit 4
fi
mkdir -p "$out"
printf '%s' "$history" | grep -oE '\{"filename": *"[^}]*"type": *"output"\}' | while read -r file; do
    name=$(printf '%s' "$file" | value filename)
    folder=$(printf '%s' "$file" | value subfolder)
    curl -fsS -G -o "$out/$name" "$server/view" -d type=output \
        --data-urlencode "filename=$name" --data-urlencode "subfolder=$folder"
    printf '%s/%s\n' "$out" "$name"
done
