# Sourced by the commands beside it.

# Print the path of the program of that name that comes after this folder in PATH.
real() {
    local own
    own=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
    type -aP "$1" | while read -r found; do
        if [ "$(cd "$(dirname "$found")" && pwd -P)" != "$own" ]; then
            echo "$found"
            break
        fi
    done
}
