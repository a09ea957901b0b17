# Sourced with $root set. Puts a Node that runs this project (24 or newer) first in PATH: the one that script/bootstrap
# keeps in .cache/node, or else the system's. Without either it says what to do and ends with 1.

node_is_new() {
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#v}
  [ "${version%%.*}" -ge 24 ] 2>/dev/null
}

# A cache that came from a machine of another kind does not run here, so it is asked too.
if node_is_new "$root/.cache/node/node_modules/.bin/node"; then
  PATH="$root/.cache/node/node_modules/.bin:$PATH"
  export PATH
elif ! node_is_new node; then
  echo "Provost needs Node 24 or newer and found ${version:-none}. Run $root/script/bootstrap, which gets it." >&2
  exit 1
fi
