/* fuzz-config.c - the configuration parser: a configuration or a BK_ERROR_CONFIG, never both. */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(BkConfig) config = bk_config_parse(data, size, "/c.yaml", &error);

    g_assert((config == NULL) == (error != NULL));
    g_assert(config != NULL || bk_error_is(error, BK_ERROR_CONFIG));
    return 0;
}
