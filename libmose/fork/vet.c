/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a stranger's description may ask of this host: next to nothing. See vet.h. */
#include "fork/vet.h"

#include <string.h>

#include "qemu/optstr.h"
#include "util/error.h"
#include "util/json.h"

static gboolean
refuse(const char *name, const char *value, const char *why, GError **error)
{
    g_set_error(error, MOSE_ERROR, MOSE_ERROR_REFUSED,
                "the file asks for %s%s%s, %s; it may have been made to do harm", name,
                value ? " " : "", value ? value : "", why);
    return FALSE;
}

/* Below it, and not out of it again. */
static gboolean
is_below(const char *path, const char *dir)
{
    gsize len = dir ? strlen(dir) : 0;

    return dir && strncmp(path, dir, len) == 0 && path[len] == '/' &&
           !strstr(path, "/../") && !g_str_has_suffix(path, "/..");
}

static gboolean
check_path(const char *name, const char *path, const char *files, GError **error)
{
    return is_below(path, files) ||
           refuse(name, path, "which is no file of the guest's", error);
}

/* --- block devices --- */

static gboolean
is_format(const char *name)
{
    /* Others may lead on to further files, by what is in them. */
    static const char *const known[] = { "file", "raw", "qcow2", "null-co", NULL };

    return name && g_strv_contains(known, name);
}

/* Of -blockdev in JSON: its nodes, however deep. */
static gboolean
check_node(JsonObject *node, const char *files, GError **error)
{
    g_autoptr(GList) members = json_object_get_members(node);

    if (!is_format(mose_json_string(node, "driver", "raw")))
        return refuse("-blockdev driver", mose_json_string(node, "driver", ""),
                      "which is no file", error);
    for (GList *at = members; at; at = at->next) {
        JsonNode *member = json_object_get_member(node, at->data);
        const char *name = at->data;

        if (strcmp(name, "backing") == 0 || strcmp(name, "data-file") == 0)
            return refuse("-blockdev", name, "which leads to a further file", error);
        if (JSON_NODE_HOLDS_OBJECT(member)) {
            /* "cache": {...} has no driver, and nothing to hide. */
            if (!check_node(json_node_get_object(member), files, error))
                return FALSE;
        } else if (strcmp(name, "filename") == 0 &&
                   !check_path("-blockdev", mose_json_string(node, name, ""), files,
                               error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* One key of a disk that is written as words; @last is behind its last dot. */
static gboolean
check_key(const char *option, const char *key, const char *last, const char *value,
          const char *files, GError **error)
{
    static const char *const plain[] = {
        "locking", "aio",           "direct",    "no-flush",  "writeback",
        "discard", "detect-zeroes", "read-only", "node-name", NULL
    };

    if (strcmp(key, "backing") == 0 || strcmp(key, "data-file") == 0)
        return refuse(option, key, "which leads to a further file", error);
    if (strcmp(last, "filename") == 0)
        return check_path(option, value, files, error);
    if (strcmp(last, "driver") == 0 || strcmp(key, "format") == 0)
        return is_format(value) ||
               refuse(option, value, "which may lead to further files", error);
    if (strcmp(key, "file") == 0)
        return check_path(option, value, files, error);
    return key == last || g_strv_contains(plain, last) ||
           refuse(option, key, "which it has no need of", error);
}

/* Where it is written as JSON, or as words. */
static gboolean
check_disk(const MoseOption *option, const char *files, GError **error)
{
    g_autoptr(GPtrArray) parts = NULL;
    gboolean node = mose_option_is(option, "-blockdev");

    if (mose_option_is_json(option)) {
        g_autoptr(JsonObject) object =
            mose_json_parse(option->value, -1, option->name, error);

        return object && check_node(object, files, error);
    }
    parts = mose_optstr_split(option->value);
    for (guint i = 0; i < parts->len; i++) {
        const char *part = parts->pdata[i];
        const char *value = strchr(part, '=');
        g_autofree char *key = value ? g_strndup(part, (gsize)(value - part)) : NULL;
        const char *dot = key ? strrchr(key, '.') : NULL;

        if (!key)
            return refuse(option->name, part, "which is no file of the guest's", error);
        /* -blockdev's "file" is the name of a node. */
        if (node && strcmp(key, "file") == 0 && !strpbrk(value, "/:"))
            continue;
        if (!check_key(option->name, key, dot ? dot + 1 : key, value + 1, files, error))
            return FALSE;
    }
    return TRUE;
}

/* --- others --- */

static gboolean
check_file(const MoseOption *option, const char *files, GError **error)
{
    return check_path(option->name, option->value, files, error);
}

/* Whether a word with a slash in it is a file of the guest's. Lists of files have
 * colons.
 */
static gboolean
check_word(const char *name, const char *word, const char *files, GError **error)
{
    return !strchr(word, '/') || (!strchr(word, ':') && is_below(word, files)) ||
           refuse(name, word, "which is no file of the guest's", error);
}

/* Keys that name a file, by itself or from where QEMU was started. */
static gboolean
leads_to_file(const char *key)
{
    static const char *const names[] = { "romfile",     "rootdir",  "dir",
                                         "frudatafile", "sdrfile",  "splash",
                                         "mem-path",    "path",     "hostdev",
                                         "host",        "sysfsdev", NULL };

    return g_strv_contains(names, key);
}

/* No word of it leads out. */
static gboolean
check_strings(const MoseOption *option, const char *files, GError **error)
{
    g_autoptr(GPtrArray) parts = mose_optstr_split(option->value);

    for (guint i = 0; i < parts->len; i++) {
        const char *part = parts->pdata[i];
        const char *value = strchr(part, '=');
        g_autofree char *key = value ? g_strndup(part, (gsize)(value - part)) : NULL;
        const char *dot = key ? strrchr(key, '.') : NULL;

        if (!check_word(option->name, value ? value + 1 : part, files, error))
            return FALSE;
        /* An empty one, and QEMU's own firmware, are what many a guest has. */
        if (key && leads_to_file(dot ? dot + 1 : key) && value[1] != '\0' &&
            !is_below(value + 1, files) && !g_str_has_suffix(value, ".rom"))
            return refuse(option->name, part, "which is no file of the guest's", error);
    }
    return TRUE;
}

static gboolean
check_json_strings(const char *name, JsonObject *object, const char *files,
                   GError **error)
{
    g_autoptr(GList) members = json_object_get_members(object);

    for (GList *at = members; at; at = at->next) {
        JsonNode *member = json_object_get_member(object, at->data);
        const char *value = mose_json_string(object, at->data, "");

        if (JSON_NODE_HOLDS_OBJECT(member)
                ? !check_json_strings(name, json_node_get_object(member), files, error)
                : !check_word(name, value, files, error))
            return FALSE;
        if (leads_to_file(at->data) && *value != '\0' && !is_below(value, files) &&
            !g_str_has_suffix(value, ".rom"))
            return refuse(name, value, "which is no file of the guest's", error);
    }
    return TRUE;
}

/* Tables and blobs, each from one file. */
static gboolean
check_files(const MoseOption *option, const char *files, GError **error)
{
    static const char *const keys[] = { "file", "data", "path" };

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *path = mose_option_get(option, keys[i]);

        if (path && (strchr(path, ':') || !is_below(path, files)))
            return refuse(option->name, path, "which is no file of the guest's", error);
    }
    return TRUE;
}

/* Devices of which QEMU has all that there is, by how their names begin. */
static gboolean
is_device(const char *kind)
{
    static const char *const known[] = {
        "virtio-",     "ide-",        "scsi-",         "e1000",     "igb",
        "rtl8139",     "ne2k",        "pcnet",         "vmxnet3",   "i825",
        "pcie-",       "pci-",        "pxb",           "ioh3420",   "x3130",
        "xio3130",     "i82801",      "usb-ehci",      "usb-uhci",  "piix",
        "ich9-",       "nec-usb",     "qemu-xhci",     "usb-kbd",   "usb-mouse",
        "usb-tablet",  "usb-storage", "usb-hub",       "usb-bot",   "usb-uas",
        "usb-wacom",   "isa-",        "pvpanic",       "intel-hda", "hda-",
        "AC97",        "VGA",         "secondary-vga", "cirrus",    "qxl",
        "bochs-",      "ramfb",       "vmware",        "vmgenid",   "nvme",
        "ahci",        "lsi",         "megasas",       "mptsas",    "am53c974",
        "dc390",       "sd-card",     "sdhci",         "i6300esb",  "ib700",
        "intel-iommu", "amd-iommu",   "edu",           "smbus-",    "i8042",
        "floppy",      "nvdimm-none", "vmcoreinfo",    "hyperv-",   "qemu64-",
        "kvm64-",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
        if (g_str_has_prefix(kind, known[i]))
            return !strstr(kind, "generic") && !strstr(kind, "passthr") &&
                   !strstr(kind, "9p") && strcmp(kind, "scsi-block") != 0 &&
                   !strstr(kind, "bmc");
    return FALSE;
}

static gboolean
check_device(const MoseOption *option, const char *files, GError **error)
{
    g_autofree char *head = mose_option_head(option);
    g_autofree char *driver = mose_option_get(option, "driver");
    const char *kind = *head ? head : driver ? driver : "";
    g_autoptr(JsonObject) object = NULL;

    if (!is_device(kind))
        return refuse(option->name, kind, "which no fork is known to need", error);
    if (!mose_option_is_json(option))
        return check_strings(option, files, error);
    object = mose_json_parse(option->value, -1, option->name, error);
    return object && check_json_strings(option->name, object, files, error);
}

static gboolean
check_object(const MoseOption *option, const char *files, GError **error)
{
    static const char *const known[] = { "rng-random", "rng-builtin", "iothread",
                                         "throttle-group", NULL };
    static const char *const sources[] = { "/dev/urandom", "/dev/random", "/dev/hwrng",
                                           NULL };
    g_autofree char *head = mose_option_head(option);
    g_autofree char *type = mose_option_get(option, "qom-type");
    g_autofree char *path = mose_option_get(option, "filename");

    if (!g_strv_contains(known, *head ? head : type ? type : ""))
        return refuse(option->name, option->value, "which it has no need of", error);
    return !path || g_strv_contains(sources, path) ||
           refuse(option->name, path, "which is no source of random numbers", error);
}

/* Other back ends lead out. A socket's path is made by mose_spec_fork(). */
static gboolean
check_back_end(const MoseOption *option, const char *files, GError **error)
{
    static const char *const known[] = { "user",   "tap",  "hubport", "ringbuf",
                                         "socket", "null", "none",    NULL };
    g_autofree char *head = mose_option_head(option);

    return g_strv_contains(known, head) ||
           refuse(option->name, option->value, "which leads out of it", error);
}

static gboolean
check_nic(const MoseOption *option, const char *files, GError **error)
{
    return strcmp(option->value, "none") == 0 ||
           refuse(option->name, option->value, "which leads out of it", error);
}

static gboolean
check_serial(const MoseOption *option, const char *files, GError **error)
{
    static const char *const known[] = { "none", "null", "vc", NULL };

    return g_strv_contains(known, option->value) ||
           g_str_has_prefix(option->value, "chardev:") ||
           refuse(option->name, option->value, "which leads out of it", error);
}

/* Nothing of the host's is in it. */
static gboolean
check_nothing(const MoseOption *option, const char *files, GError **error)
{
    return TRUE;
}

static const struct {
    const char *name;
    gboolean bare; /* takes no argument */
    gboolean (*check)(const MoseOption *option, const char *files, GError **error);
} known[] = {
    { "-nodefaults", TRUE, check_nothing },
    { "-no-user-config", TRUE, check_nothing },
    { "-no-reboot", TRUE, check_nothing },
    { "-no-shutdown", TRUE, check_nothing },
    { "-no-fd-bootchk", TRUE, check_nothing },
    { "-usb", TRUE, check_nothing },
    { "-smp", FALSE, check_nothing },
    { "-append", FALSE, check_nothing },
    { "-rtc", FALSE, check_nothing },
    { "-boot", FALSE, check_strings },
    { "-uuid", FALSE, check_nothing },
    { "-vga", FALSE, check_nothing },
    { "-nic", FALSE, check_nic },
    { "-k", FALSE, check_nothing },
    { "-overcommit", FALSE, check_strings },
    { "-action", FALSE, check_strings },
    { "-kernel", FALSE, check_file },
    { "-initrd", FALSE, check_file },
    { "-dtb", FALSE, check_file },
    { "-shim", FALSE, check_file },
    { "-drive", FALSE, check_disk },
    { "-blockdev", FALSE, check_disk },
    { "-hda", FALSE, check_file },
    { "-hdb", FALSE, check_file },
    { "-hdc", FALSE, check_file },
    { "-hdd", FALSE, check_file },
    { "-cdrom", FALSE, check_file },
    { "-pflash", FALSE, check_file },
    { "-device", FALSE, check_device },
    { "-object", FALSE, check_object },
    { "-netdev", FALSE, check_back_end },
    { "-chardev", FALSE, check_back_end },
    { "-audiodev", FALSE, check_back_end },
    { "-serial", FALSE, check_serial },
    { "-smbios", FALSE, check_files },
    { "-acpitable", FALSE, check_files },
    { "-fw_cfg", FALSE, check_files },
    { "-global", FALSE, check_strings },
};

static gboolean
check_option(const MoseOption *option, const char *files, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        if (!mose_option_is(option, known[i].name))
            continue;
        if (known[i].bare != (option->value == NULL))
            return refuse(option->name, option->value, "which makes no sense", error);
        return known[i].check(option, files, error);
    }
    return refuse(option->name, option->value, "which it has no need of", error);
}

/* Words for -machine, -cpu: nothing that leads to a file, or starts with a dash. */
static gboolean
check_words(const char *name, const char *words, GError **error)
{
    return (*words != '\0' && *words != '-' && !strpbrk(words, "/:{")) ||
           refuse(name, words, "which makes no sense", error);
}

gboolean
mose_fork_vet(const MoseSpec *spec, const char *files, GError **error)
{
    if (!check_words("-machine", spec->machine, error))
        return FALSE;
    for (MoseSide side = 0; side < MOSE_N_SIDES; side++) {
        if (strcmp(spec->accel[side], "kvm") != 0 &&
            strcmp(spec->accel[side], "tcg") != 0)
            return refuse("-accel", spec->accel[side], "which makes no sense", error);
        if (!check_words("-cpu", spec->cpu[side], error))
            return FALSE;
    }
    for (guint i = 0; i < spec->options->len; i++)
        if (!check_option(spec->options->pdata[i], files, error))
            return FALSE;
    return TRUE;
}
