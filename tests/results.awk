# SPDX-License-Identifier: GPL-2.0-or-later
#
# Meson's JUnit report to one line a test: `passed|failed|skipped PROGRAM:NAME`,
# with the reason of a skipped one behind it.

function unescape(text) {
    gsub(/&lt;/, "<", text)
    gsub(/&gt;/, ">", text)
    gsub(/&quot;/, "\"", text)
    gsub(/&apos;/, "'", text)
    gsub(/&amp;/, "\\&", text)
    return text
}

function attribute(text, name) {
    if (!match(text, " " name "=\"[^\"]*\""))
        return ""
    return unescape(substr(text, RSTART + length(name) + 3, RLENGTH - length(name) - 4))
}

BEGIN { RS = "<" }

/^testcase / {
    name = attribute($0, "name")
    program = attribute($0, "classname")
    sub(/^.* \/ /, "", program)
    sub(/^[0-9]+ /, "", name)
    name = program ":" name
    reason = ""
    result = "passed"
    if ($0 ~ /\/>[[:space:]]*$/)
        print result, name
    next
}

/^skipped/ { result = "skipped"; reason = attribute($0, "message"); next }
/^(failure|error)/ { result = "failed"; next }
/^\/testcase/ { print result, name (reason ? ": " reason : "") }
