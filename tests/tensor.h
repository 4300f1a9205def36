/* tensor.h - what the tests of all headers say about tensors: formats and shapes in one line, sizes
   and groups counted from the definition instead of by the library, tensors whose arrays end at
   inaccessible pages, kernels and threads. A test file includes it behind the header it tests. */
#ifndef TENSOR_H_INCLUDED
#define TENSOR_H_INCLUDED

#include "t.h"
#if defined(_OPENMP)
#include <omp.h>
#endif

/* How many random cases: fewer under a sanitizer, or TEST_SHARE percent of them. */
static inline int cases(int count)
{
    const char *share = getenv("TEST_SHARE");
    int percent = share ? atoi(share) : T_SLOW ? 20 : 100;
    count = count * percent / 100;
    return count > 1 ? count : 1;
}

/* ---- formats and shapes */

/* Rounded to nearest, fit. */
static inline mls_format format_of(int ex, int mx, int eg, int mg, int grouping)
{
    mls_format f;
    f.ex = (uint8_t)ex, f.mx = (uint8_t)mx, f.eg = (uint8_t)eg, f.mg = (uint8_t)mg;
    f.grouping = (uint8_t)grouping, f.rounding = MLS_ROUND_NEAREST, f.range = MLS_RANGE_FIT;
    return f;
}

/* The simplest format of an element: one group. */
static inline mls_format plain(int ex, int mx)
{
    return format_of(ex, mx, 0, 0, MLS_GROUP_NONE);
}

static inline int k_max(mls_format f)
{
    return f.eg >= 7 ? 127 : (1 << f.eg) - 1;
}

static inline mls_shape shape_of(int n, int h, int w, int c)
{
    mls_shape s = {n, h, w, c};
    return s;
}

static inline size_t count_of(mls_shape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

static inline size_t groups_of(mls_format f, mls_shape s)
{
    int n = f.grouping == MLS_GROUP_N || f.grouping == MLS_GROUP_NC ? s.n : 1;
    int c = f.grouping == MLS_GROUP_C || f.grouping == MLS_GROUP_NC ? s.c : 1;
    return (size_t)n * (size_t)c;
}

/* The group of an element. */
static inline size_t group_at(mls_format f, mls_shape s, size_t index)
{
    size_t c = index % (size_t)s.c, n = index / ((size_t)s.h * (size_t)s.w * (size_t)s.c);
    switch (f.grouping) {
    case MLS_GROUP_N:
        return n;
    case MLS_GROUP_C:
        return c;
    case MLS_GROUP_NC:
        return n * (size_t)s.c + c;
    default:
        return 0;
    }
}

/* Of the codes of a tensor. */
static inline size_t bytes_of(mls_format f, size_t count)
{
    int bits = 1 + f.ex + f.mx;
    return bits <= 4 ? (count + 1) / 2 : bits <= 8 ? count : 2 * count;
}

/* ---- floats */

static inline float from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline uint32_t to_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* 2^e for any e that a test needs, from the bits of a double. */
static inline double two_to(int e)
{
    uint64_t u = (uint64_t)(e + 1023) << 52;
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* At an inaccessible page; see t_alloc. */
static inline float *floats(size_t count)
{
    return (float *)t_alloc(count * sizeof(float));
}

/* ---- tensors: each of their arrays ends at an inaccessible page and is filled with rubbish */

/* Without peaks, which only the quantizer writes. */
static inline mls_tensor tensor_of_codes(mls_format f, mls_shape s)
{
    mls_tensor t;
    t.format = f, t.shape = s, t.scale = 0, t.peak = NULL;
    t.group = (uint16_t *)t_alloc(groups_of(f, s) * sizeof(uint16_t));
    t.code = (uint8_t *)t_alloc(bytes_of(f, count_of(s)));
    t.code[bytes_of(f, count_of(s)) - 1] = 0; /* as init does: an unused nibble is never written */
    return t;
}

static inline mls_tensor tensor_new(mls_format f, mls_shape s)
{
    mls_tensor t = tensor_of_codes(f, s);
    t.peak = floats((size_t)s.n * (size_t)s.c);
    return t;
}

static inline void tensor_free(mls_tensor *t)
{
    t_free(t->peak), t_free(t->group), t_free(t->code);
}

static inline void put_code(mls_tensor *t, size_t i, uint32_t code)
{
    int bits = 1 + t->format.ex + t->format.mx;
    if (bits <= 4) {
        uint32_t old = t->code[i / 2], shift = i % 2 ? 4 : 0;
        t->code[i / 2] = (uint8_t)((old & ~(15u << shift)) | code << shift);
    } else if (bits <= 8) {
        t->code[i] = (uint8_t)code;
    } else {
        t->code[2 * i] = (uint8_t)code, t->code[2 * i + 1] = (uint8_t)(code >> 8);
    }
}

static inline uint32_t get_code(const mls_tensor *t, size_t i)
{
    int bits = 1 + t->format.ex + t->format.mx;
    if (bits <= 4) return t->code[i / 2] >> (i % 2 ? 4 : 0) & 15;
    if (bits <= 8) return t->code[i];
    return (uint32_t)t->code[2 * i] | (uint32_t)t->code[2 * i + 1] << 8;
}

/* ---- kernels and threads */

#if defined(MLS_CONV_H_INCLUDED)
static int kernel_ran[MLS__UNIT_COUNT];

/* Switches to a kernel, and notes that it is at work. */
static inline const char *use(int kernel)
{
    const char *name = mls_kernel_name(kernel);
    T_CHECK(name != NULL && mls_kernel_use(name) == MLS_OK);
    T_CHECK(strcmp(mls_kernel_used(), name) == 0);
    kernel_ran[mls__unit()] = 1;
    return name;
}
#endif

static int thread_count = 1;

/* Of the calls, and of the networks that are planned, from now on. */
static inline void threads(int count)
{
    thread_count = count;
#if defined(_OPENMP) && !defined(MLS_NO_THREADS)
    omp_set_num_threads(count);
#endif
}

#endif /* TENSOR_H_INCLUDED */
