#!/bin/sh
# Find a Chromium for the browser tests, or install Debian's when it is missing and root may. Never downloads a browser.
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then
        echo "browser tests use $(command -v "$name")"
        exit 0
    fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing Debian's chromium for the browser tests ..."
    if apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends chromium fonts-noto-core >/dev/null; then
        exit 0
    fi
fi
echo "No Chromium found: browser tests will be skipped. To run them:  sudo apt-get install chromium fonts-noto-core"
if [ "${CI:-}" = true ]; then
    echo "With CI=true a missing browser is a failure."
    exit 1
fi
