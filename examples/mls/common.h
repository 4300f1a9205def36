/* common.h - sizes, and errors as values */
#ifndef PROGRAM_COMMON_H_INCLUDED
#define PROGRAM_COMMON_H_INCLUDED

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mls_train.h"

#define CHANNELS  3 /* at most */
#define PATH_SIZE 1024

/* The arguments of a function are as those of printf: C's, not those of Microsoft's library. */
#ifdef __MINGW_PRINTF_FORMAT
#define PRINTF(format_at, first) __attribute__((format(__MINGW_PRINTF_FORMAT, format_at, first)))
#else
#define PRINTF(format_at, first) __attribute__((format(printf, format_at, first)))
#endif

/* What went wrong. status is the exit status: 1 the work failed, 2 it was not started, or a file
   could not be read or written. */
typedef struct failure {
    int status;
    char text[PATH_SIZE + 512];
} failure;

PRINTF(3, 4) static bool fail(failure *f, int status, const char *format, ...)
{
    va_list list;
    f->status = status;
    va_start(list, format);
    vsnprintf(f->text, sizeof f->text, format, list);
    va_end(list);
    return false;
}

static bool is_finite(double x)
{
    return fabs(x) <= DBL_MAX;
}

#endif /* PROGRAM_COMMON_H_INCLUDED */
