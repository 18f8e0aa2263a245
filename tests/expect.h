/* expect.h - what tests say of calls that can fail; a GError *error is in scope.
 *
 * Threads: nothing here has state. */
#pragma once
#include "base/error.h"

#include <string.h>

#define EXPECT_DONE(call)                                                                          \
    do {                                                                                           \
        bool done_ = (call);                                                                       \
                                                                                                   \
        g_assert_no_error(error);                                                                  \
        g_assert_true(done_);                                                                      \
    } while (0)

#define EXPECT_ERROR(call, code)                                                                   \
    do {                                                                                           \
        bool done_ = (call);                                                                       \
                                                                                                   \
        g_assert_false(done_);                                                                     \
        g_assert_error(error, BK_ERROR, (int)(code));                                              \
        g_clear_error(&error);                                                                     \
    } while (0)

#define EXPECT_BYTES(data, size, expected, expected_size)                                          \
    do {                                                                                           \
        size_t size_ = (size);                                                                     \
                                                                                                   \
        g_assert_cmpuint(size_, ==, (expected_size));                                              \
        g_assert_true(size_ == 0 || memcmp((data), (expected), size_) == 0);                       \
    } while (0)
