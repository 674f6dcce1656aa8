#!/usr/bin/env bash
# Prints the browser that the browser tests use: what CHROMIUM names, the system's, or what playwright-core has brought.
# Fails if there is none.
set -euo pipefail

for file in "${CHROMIUM:-}" /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome \
    /usr/lib64/chromium-browser/chromium-browser "${HOME:-}"/.cache/ms-playwright/chromium-*/chrome-linux*/chrome; do
    if [[ -x $file ]]; then
        echo "$file"
        exit
    fi
done
exit 1
