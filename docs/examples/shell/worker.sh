#!/bin/sh
# A complete worker in POSIX shell with jq: counts the lines of a file. Body: {"input": path, "output": path}.
set -u
DONE=0 REJECT=65 RETRY=75 MISCONFIGURED=78
result_file=${BATCHQUEUE_RESULT_FILE:-/dev/termination-log}
temporary='' child='' succeeded='' rejected='' reason='' code=$DONE

# Writes the result file and ends. jq quotes what goes into JSON.
finish() {
  [ -z "$temporary" ] || rm -f -- "$temporary"
  jq -cn --arg s "${succeeded#,}" --arg r "${rejected#,}" --arg why "$(printf %s "${reason#; }" | cut -c 1-1000)" \
    '{succeededIndexes: $s, rejectedIndexes: $r} + if $why == "" then {} else {reason: $why} end' \
    >"$result_file" || echo 'result file not written' >&2
  [ -z "$reason" ] || echo "${reason#; }" >&2
  exit "$code"
}

# A wrong set-up outweighs a failure that may pass, and that outweighs a final one.
failed() { # exit code, reason
  reason="$reason; $2"
  case $code in
    "$MISCONFIGURED") ;;
    "$RETRY") [ "$1" = "$MISCONFIGURED" ] && code=$1 ;;
    *) code=$1 ;;
  esac
  return "$1"
}

# Without this trap process 1 of a container ignores SIGTERM. The shell runs it at once only while it waits for a
# command in the background, so that is how long commands are started.
trap '[ -z "$child" ] || kill "$child"; failed $RETRY "stopped by SIGTERM"; finish' TERM

# Plain names between single slashes; no "..", no link on the way.
inside() { # path
  case $1 in '' | /* | *//* | */ | . | .. | ./* | ../* | */. | */.. | */./* | */../* | *[!A-Za-z0-9._/-]*) return 1 ;; esac
  parent=$root/$1
  while [ "$parent" != "$root" ]; do
    [ ! -L "$parent" ] || return 1
    parent=${parent%/*}
  done
}

work() { # position of the record
  body=$(record_body "$1") || { failed $MISCONFIGURED "record $1 has no body"; finish; }
  input=$(printf %s "$body" | jq -er '.input | strings' 2>/dev/null) &&
    output=$(printf %s "$body" | jq -er '.output | strings' 2>/dev/null) &&
    inside "$input" && inside "$output" ||
    { failed $REJECT 'body must be {"input": path, "output": path} with paths inside the storage'; return; }
  [ -f "$root/$input" ] || { failed $REJECT "input $input does not exist"; return; }
  publish "$root/$input" "$root/$output" || { failed $RETRY "output $output could not be written"; return; }
}

publish() { # input file, output file
  mkdir -p -- "$(dirname -- "$2")" && temporary=$(mktemp -- "$(dirname -- "$2")/.worker.XXXXXXXXXX") || return
  wc -l <"$1" >"$temporary" &
  child=$!
  # mktemp makes files for one's own eyes only. sync with a name is fsync.
  if wait "$child" && child='' && chmod 644 "$temporary" && sync -- "$temporary" &&
    mv -f -- "$temporary" "$2" && sync -- "$(dirname -- "$2")"; then
    temporary=''
  else
    rm -f -- "$temporary"
    temporary='' child=''
    return 1
  fi
}

record_body() { # position of the record
  file=$(jq -r --argjson i "$1" '.[$i].bodyFile // ""' "$messages") || return
  if [ -n "$file" ]; then cat -- "$file"; else jq -ej --argjson i "$1" '.[$i].body | strings' "$messages"; fi
}

messages=${BATCHQUEUE_MESSAGES_FILE:-}
root=${BATCHQUEUE_STORAGE_PATH:-}
count=$(jq -e 'arrays | length' "$messages" 2>/dev/null) || { failed $MISCONFIGURED 'no messages file'; finish; }
[ -d "$root" ] && [ -w "$root" ] || { failed $MISCONFIGURED 'no storage that can be written to'; finish; }

index=${JOB_COMPLETION_INDEX:-0}
last=${JOB_COMPLETION_INDEX:-$((count - 1))}
[ "$last" -lt "$count" ] || { failed $MISCONFIGURED 'JOB_COMPLETION_INDEX has no record'; finish; }
while [ "$index" -le "$last" ]; do
  work "$index"
  case $? in
    0) succeeded="$succeeded,$index" ;;
    "$REJECT") rejected="$rejected,$index" ;;
  esac
  # From a FIFO queue: what follows a failed message must not overtake it.
  [ "$code" = "$DONE" ] || ! jq -e --argjson i "$index" '.[$i].attributes.SequenceNumber' "$messages" >/dev/null || break
  index=$((index + 1))
done
finish
