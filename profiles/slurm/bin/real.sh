# Sourced by the commands beside it.

# The jobs that each run has submitted: a file of their numbers, named as the run's jobs are.
submitted=.snakemake/affectflow/submitted

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

# Print the value of an option among arguments: value_of --name "$@"
value_of() {
    local option=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            "$option") echo "${2-}" && return ;;
            "$option"=*) echo "${1#*=}" && return ;;
        esac
        shift
    done
}
