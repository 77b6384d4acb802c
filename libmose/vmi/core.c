#include "vmi/memory.h"
#include "util/error.h"
MoseMemory *mose_memory_of_core(const char *path, GError **error)
{ g_set_error(error, MOSE_ERROR, MOSE_ERROR_UNSUPPORTED, "%s", path); return NULL; }
