# SPDX-License-Identifier: GPL-2.0-or-later
#
# Finds the package source that serves a suite among apt's source files, and
# prints what says where it is and why to trust it, as fields of a deb822 stanza:
# URIs, and Signed-By, Trusted and Check-Valid-Until where they are given.
#
#   awk -v suite=bookworm -f apt-source.awk /etc/apt/sources.list \
#       /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources
#
# Both formats are read (sources.list(5)), one by its name's end in .sources.
# Only sources of binary packages with the component main count; the first one
# wins. Files that don't exist are no error. Exit status: 0 found, 1 not.

BEGIN {
    for (i = 1; i < ARGC; i++) {
        if (ARGV[i] ~ /\.sources$/)
            found = stanzas(ARGV[i])
        else
            found = lines(ARGV[i])
        if (found)
            exit 0
    }
    exit 1
}

# has(LIST, WORD): whether WORD is among the words of LIST.
function has(list, word) {
    gsub(/[ \t\n]+/, " ", list)
    return index(" " list " ", " " word " ") > 0
}

function show(field, value) {
    if (value != "")
        print field ": " value
}

# A file of one-line sources:  deb [option=value ...] URI SUITE COMPONENT ...
function lines(file,    line, options, words, count) {
    while ((getline line < file) > 0) {
        sub(/#.*/, "", line)
        if (line !~ /^[ \t]*deb[ \t]/)
            continue
        sub(/^[ \t]*deb[ \t]+/, "", line)
        options = ""
        if (match(line, /^\[[^\]]*\][ \t]*/)) {
            options = substr(line, 2, RLENGTH - 1)
            sub(/\][ \t]*$/, "", options)
            line = substr(line, RSTART + RLENGTH)
        }
        count = split(line, words, /[ \t]+/)
        if (count < 3 || words[2] != suite || words[1] ~ /^cdrom:/)
            continue
        sub(/^[^ \t]+[ \t]+[^ \t]+/, "", line) # the components are left
        if (!has(line, "main"))
            continue
        show("URIs", words[1])
        show("Signed-By", option(options, "signed-by"))
        show("Trusted", option(options, "trusted"))
        show("Check-Valid-Until", option(options, "check-valid-until"))
        return 1
    }
    return 0
}

# The value of NAME= among a line's options; lists are parted by commas there.
function option(options, name,    words, count, i) {
    count = split(options, words, /[ \t]+/)
    for (i = 1; i <= count; i++) {
        if (index(tolower(words[i]), name "=") != 1)
            continue
        words[i] = substr(words[i], length(name) + 2)
        gsub(/,/, " ", words[i])
        return words[i]
    }
    return ""
}

# A file of stanzas. A field's value may go on in lines that begin with a blank.
function stanzas(file,    line, name, values) {
    split("", values)
    while ((getline line < file) > 0) {
        sub(/\r$/, "", line)
        if (line ~ /^#/)
            continue
        if (line ~ /^[ \t]*$/) {
            if (wanted(values))
                return 1
            split("", values)
            name = ""
        } else if (line ~ /^[ \t]/) {
            if (name != "")
                values[name] = values[name] "\n" line
        } else {
            name = tolower(substr(line, 1, index(line, ":") - 1))
            line = substr(line, index(line, ":") + 1)
            gsub(/^[ \t]+|[ \t]+$/, "", line)
            values[name] = line
        }
    }
    return wanted(values)
}

function wanted(values) {
    if (tolower(values["enabled"]) ~ /^(no|false|without|off|disable)$/)
        return 0
    if (!has(values["types"], "deb") || !has(values["suites"], suite) ||
        !has(values["components"], "main"))
        return 0
    show("URIs", values["uris"])
    show("Signed-By", values["signed-by"])
    show("Trusted", values["trusted"])
    show("Check-Valid-Until", values["check-valid-until"])
    return 1
}
