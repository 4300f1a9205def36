/* mls.h - v0.1.0 - multi-level-scaling (MLS) tensors: format, quantizer, random bits - MIT licence

   DO THIS in exactly one C or C++ file:

       #define MLS_IMPLEMENTATION
       #include "mls.h"

   and include it without the define wherever else it is used.

   WHAT IT IS
       A tensor of low-bit numbers with three levels of scale: one fp32 for the tensor, a small
       power of two (times 1 or 1.5) for each group, an <E,M> mini float for each element:

           X = sign * S_t * S_g * Xbar          ("Exploring the Potential of Low-bit Training of
                                                 CNNs", Eq. 1; the exact rules: docs/FORMAT.md)

       mls_conv.h multiplies such tensors with integers only; mls_train.h trains networks of them.

   EXAMPLE
       mls_format f = {2, 1, 2, 0, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT};
       mls_shape  s = {1, 8, 8, 16};
       mls_tensor t;
       static unsigned char memory[4096];
       if (mls_tensor_size(f, s) > sizeof memory) ...
       if (mls_tensor_init(&t, f, s, memory, sizeof memory) != MLS_OK) ...
       if (mls_quantize(&t, x, 0) != MLS_OK) ...
       mls_dequantize(&t, y);

   CONFIGURATION, before the include, in the file with the implementation
       MLS_STATIC       every function static: private copies, no symbols
       MLS_DEF          own decoration of the public functions instead (dllexport, ...)
       MLS_NO_SIMD      scalar code only
       MLS_NO_THREADS   no OpenMP and no atomics (single-threaded firmware)
       MLS_WIN64_AVX    gcc for 64-bit Windows: use AVX2 and AVX-512, too. Only with a compiler whose
                        AVX code does not crash there, as those of Debian, MSYS2 and w64devkit
       MLS_ASSERT(x)    check of internal invariants; nothing by default
       MLS_HEADER, MLS_CONV_HEADER, MLS_TRAIN_HEADER   names, if the files are renamed ("my_mls.h")
       (MLS_MALLOC, MLS_FREE, MLS_NO_MALLOC, MLS_NO_STDIO: see mls_train.h; this file never allocates)

   ONE ANSWER
       Same input, same bits: on every instruction set, with any thread count, compiler or
       optimisation level. Two rules keep it so: a product of floats is an operand of + or - only
       where it is exact or inside an explicit fused multiply-add, and sums have a shape that the
       tensor fixes, not the machine. Flags that break IEEE arithmetic are refused.

   SECTIONS (search for ">>name")
       >>api  >>config  >>bits  >>format  >>tensor  >>random  >>reference  >>units  >>dispatch
       >>quantize  >>measure  >>each  >>template
*/
#if !defined(MLS__UNIT) && !defined(MLS__EACH)

/* ------------------------------------------------------------------------------------ >>api */
#ifndef MLS_H_INCLUDED
#define MLS_H_INCLUDED

#include <stddef.h>
#include <stdint.h>

#define MLS_VERSION_MAJOR  0
#define MLS_VERSION_MINOR  1
#define MLS_VERSION_PATCH  0
#define MLS_VERSION_STRING "0.1.0"

#ifndef MLS_DEF
#ifdef MLS_STATIC
#if defined(__GNUC__) || defined(__clang__)
#define MLS_DEF static __attribute__((unused))
#else
#define MLS_DEF static
#endif
#else
#define MLS_DEF extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define MLS__STATUS_LIST(X)                                                                       \
    X(MLS_OK, "ok")                                                                               \
    X(MLS_ERROR_ARGUMENT, "a pointer is null or a value is out of its range")                     \
    X(MLS_ERROR_FORMAT, "not a format: see mls_format")                                           \
    X(MLS_ERROR_SHAPE, "a dimension is not positive, does not match, or the size overflows")      \
    X(MLS_ERROR_MEMORY, "the memory given is too small, or the allocation failed")                \
    X(MLS_ERROR_NONFINITE, "an input or a scale is infinite or not a number")                     \
    X(MLS_ERROR_RANGE, "the exact sum would not fit the widest accumulator")                      \
    X(MLS_ERROR_KERNEL, "no such kernel in this build or on this CPU")                            \
    X(MLS_ERROR_STATE, "called out of order")                                                     \
    X(MLS_ERROR_IO, "a file cannot be opened, read or written")                                   \
    X(MLS_ERROR_DATA, "a file or buffer is damaged, truncated or of another kind")                \
    X(MLS_ERROR_FLOATS, "a thread rounds floats, or flushes small ones to zero, as the host set " \
                        "it")

#define MLS__STATUS_NAME(name, text) name,
typedef enum mls_status {
    MLS__STATUS_LIST(MLS__STATUS_NAME) MLS__STATUS_COUNT
} mls_status;
#undef MLS__STATUS_NAME

/* One sentence for a status; never null. */
MLS_DEF const char *mls_status_string(mls_status status);

typedef enum {
    MLS_GROUP_NONE, /* the whole tensor is one group */
    MLS_GROUP_N,    /* one group for each n (weights: each c_out) */
    MLS_GROUP_C,    /* one group for each c (weights: each c_in) */
    MLS_GROUP_NC    /* one group for each (n, c): the paper's choice */
} mls_grouping;

typedef enum {
    MLS_ROUND_NEAREST,            /* ties to even */
    MLS_ROUND_STOCHASTIC,         /* unbiased: carries into the next exponent */
    MLS_ROUND_STOCHASTIC_CLIPPED, /* the paper's Algorithm 1: never leaves its own binade */
    MLS_ROUND_NONE                /* in mls_formats, all else zero: fp32 */
} mls_rounding;

typedef enum {
    MLS_RANGE_FIT,  /* the largest magnitude meets the top code: nothing saturates */
    MLS_RANGE_PAPER /* S_t is the largest magnitude: values above the top code saturate */
} mls_range;

/* A format is a value. Element <ex,mx>: ex 0..5, mx 0..10, ex + mx >= 1, and a sign.
   Group scale <eg,mg>: eg 0..8, mg 0..1, and mg = 0 where eg = 0. All zero means "none: fp32". */
typedef struct mls_format {
    uint8_t ex, mx, eg, mg;
    uint8_t grouping; /* mls_grouping */
    uint8_t rounding; /* mls_rounding */
    uint8_t range;    /* mls_range */
} mls_format;

/* Channels last: element (n, y, x, ch) is at ((n * h + y) * w + x) * c + ch.
   Weights are [c_out][kh][kw][c_in]. */
typedef struct mls_shape {
    int32_t n, h, w, c;
} mls_shape;

/* A view: the memory belongs to the caller. */
typedef struct mls_tensor {
    mls_format format;
    mls_shape shape;
    float scale;     /* S_t */
    uint16_t *group; /* one code k << mg | m per group, n-major: S_g = (1 + m / 2^mg) * 2^-k <= 1 */
    uint8_t *code;   /* element codes sign | e | m: two a byte up to 4 bits (even index in the low
                        nibble), one byte up to 8, two bytes little-endian above */
    float *peak;     /* scratch of mls_quantize: largest magnitude of each (n, c); may be null in a
                        tensor that is only read */
} mls_tensor;

/* MLS_OK or MLS_ERROR_FORMAT. */
MLS_DEF mls_status mls_format_check(mls_format format);

/* Bits of one element, sign included; 0 for a bad format. */
MLS_DEF int32_t mls_format_bits(mls_format format);

/* Writes the value Xbar (times sign) of every code 0 .. 2^bits - 1 to values[code].
   Returns how many codes there are, or 0 when the format is bad or capacity is too small. */
MLS_DEF int32_t mls_format_values(mls_format format, float *values, int32_t capacity);

/* Reads "E,M[:GROUPING[:Eg,Mg]][:ROUNDING][:RANGE]" with GROUPING none|n|c|nc, ROUNDING
   nearest|stochastic|clipped, RANGE fit|paper. "mls-E,M..." is the same; "paper-E,M..." starts from the
   paper's nc:8,1:clipped:paper; "fp32" gives the all-zero format. What the text does not say keeps the
   value that *format has on entry, and where that is all zero is nc:2,0:nearest:fit. Errors: ARGUMENT,
   FORMAT; then *format is untouched. */
MLS_DEF mls_status mls_format_parse(mls_format *format, const char *text);

/* Writes a format as mls_format_parse reads it, all of it said. MLS_FORMAT_TEXT bytes are enough.
   Errors: ARGUMENT, FORMAT, MEMORY (the text is cut). */
enum {
    MLS_FORMAT_TEXT = 40
};
MLS_DEF mls_status mls_format_text(mls_format format, char *text, size_t size);

/* The formats of a convolution's operands by their roles: weights W, activations A, errors E. Each is
   an operand of two of the three products: forward (W, A), backward-data (W, E) and backward-weight
   (A, E). The second row is for the second product of each, where all zero means: as in the first, and
   then a tensor is quantized once for both. In the first row all zero means fp32, or, where a
   description has a default, that; in both rows MLS_ROUND_NONE with zeros means fp32. */
typedef struct mls_formats {
    mls_format weight, activation, error;
    mls_format weight_in_data, activation_in_weight, error_in_weight;
} mls_formats;

/* Reads one format for all roles, or "w=FORMAT a=FORMAT e=FORMAT", and for the second products
   "w.data=FORMAT a.weight=FORMAT e.weight=FORMAT", in any order; a role that is left out has 2,1. What
   a format does not say is that of its role: nc:2,0:fit, W and A nearest, E stochastic (errors must be
   rounded without bias, or gradients drift). "shiftquant-4", "-5", "-6" and "-8" are powers of two by the
   dimension that each product sums over (docs/FORMAT.md). fp32 is said with MLS_ROUND_NONE. On an error
   (ARGUMENT, FORMAT) *formats is untouched, and wrong, if not null, says which word is not understood. */
MLS_DEF mls_status mls_formats_parse(mls_formats *formats, const char *text, char *wrong,
                                     size_t size);

/* Writes them as mls_formats_parse reads them. MLS_FORMATS_TEXT bytes are enough. Errors: as above. */
enum {
    MLS_FORMATS_TEXT = 6 * MLS_FORMAT_TEXT + 40
};
MLS_DEF mls_status mls_formats_text(mls_formats formats, char *text, size_t size);

/* Number of groups; 0 for a bad shape. */
MLS_DEF size_t mls_group_count(mls_format format, mls_shape shape);

/* Bytes that mls_tensor_init needs, at any alignment; 0 if format or shape is bad. */
MLS_DEF size_t mls_tensor_size(mls_format format, mls_shape shape);

/* Lays a zero tensor out in memory. Errors: FORMAT, SHAPE, MEMORY (size too small), ARGUMENT. */
MLS_DEF mls_status mls_tensor_init(mls_tensor *tensor, mls_format format, mls_shape shape,
                                   void *memory, size_t size);

/* Quantizes x, laid out as tensor->shape says, to tensor->format (paper, Algorithm 1, repaired:
   docs/FORMAT.md). seed chooses the random bits of stochastic rounding and is not used otherwise.
   Errors: NONFINITE when an x, or the scale that x needs, is not finite: codes, groups and scale
   stay as they were; FLOATS; ARGUMENT, FORMAT, SHAPE. */
MLS_DEF mls_status mls_quantize(mls_tensor *tensor, const float *x, uint64_t seed);

/* x = fl((q * lsb * (1 + m / 2^mg)) * S_t) * 2^-k for every element. */
MLS_DEF mls_status mls_dequantize(const mls_tensor *tensor, float *x);

/* The code of one element; index < n * h * w * c. */
MLS_DEF uint32_t mls_tensor_code(const mls_tensor *tensor, size_t index);

/* How well a tensor stands for x. Sums are taken in index order. Errors: ARGUMENT, FORMAT, SHAPE,
   NONFINITE (x), FLOATS. */
typedef struct mls_report {
    double relative_error; /* mean of |q - x| / |x| over x != 0 (ARE, the paper's Fig. 3) */
    double snr_db;         /* 10 log10(sum x^2 / sum (q - x)^2); 999 where nothing was lost,
                              -999 where only x is all zeros */
    double clipped;        /* share of elements beyond their group's top value, by more than the
                              2^-22 of it that rounded scales explain */
    double flushed;        /* share of elements x != 0 that became 0 */
    double zero_groups;    /* share of groups without any x != 0 */
} mls_report;
MLS_DEF mls_status mls_measure(const mls_tensor *tensor, const float *x, mls_report *report);

/* 16 random bits, a pure function of its arguments: any order, any thread, any machine. */
MLS_DEF uint32_t mls_random16(uint64_t seed, uint64_t index);

/* A seed for a part of the work (a step, a tensor, an epoch): mls_seed(mls_seed(run, step), id). */
MLS_DEF uint64_t mls_seed(uint64_t seed, uint64_t part);

#ifdef __cplusplus
}
#endif
#endif /* MLS_H_INCLUDED */

#ifdef MLS_IMPLEMENTATION
#ifndef MLS__IMPLEMENTED
#define MLS__IMPLEMENTED

/* --------------------------------------------------------------------------------- >>config */
#include <float.h>
#include <string.h>

#if FLT_MANT_DIG != 24 || FLT_MAX_EXP != 128 || DBL_MANT_DIG != 53 || DBL_MAX_EXP != 1024
#error "mls.h: float and double must be those of IEEE 754, of 32 and 64 bits"
#endif
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "mls.h: -ffast-math, or a part of it, changes results; compile this file without it"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "mls.h: floats have extra precision; -msse2 -mfpmath=sse or -fexcess-precision=fast helps"
#endif
#if defined(__cplusplus)
static_assert(sizeof 1.0 == sizeof(double),
              "mls.h: -fsingle-precision-constant changes results; compile this file without it");
#else
_Static_assert(sizeof 1.0 == sizeof(double),
               "mls.h: -fsingle-precision-constant changes results; compile this file without it");
#endif
#if defined(__clang__)
#if __clang_major__ >= 11
/* clang has no macro for -freciprocal-math and the like: they end here, where it knows how to. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wignored-pragmas"
#pragma float_control(precise, on)
#pragma clang diagnostic pop
#endif
#pragma STDC FP_CONTRACT OFF
#endif

#ifndef MLS_HEADER
#define MLS_HEADER "mls.h"
#endif
#ifndef MLS_ASSERT
#define MLS_ASSERT(x) ((void)0)
#endif

#if defined(_OPENMP) && !defined(MLS_NO_THREADS)
#include <omp.h>
#define MLS__OMP(text) _Pragma(#text)
#define MLS__THREADS() omp_get_max_threads()
#define MLS__THREAD()  omp_get_thread_num()
#else
#define MLS__OMP(text)
#define MLS__THREADS() 1
#define MLS__THREAD()  0
#endif

#if defined(__GNUC__) || defined(__clang__)
#define MLS__UNUSED __attribute__((unused))
#define MLS__APART  __attribute__((noinline)) /* with a frame of its own */
#define MLS__INLINE static inline __attribute__((always_inline, unused))
#else
#define MLS__UNUSED
#define MLS__APART
#define MLS__INLINE static inline
#endif
/* gcc -O2 leaves small fixed loops rolled and spills their accumulators: 2.6 times slower. */
#if defined(__clang__)
#define MLS__UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define MLS__UNROLL _Pragma("GCC unroll 32")
#else
#define MLS__UNROLL
#endif

/* ----------------------------------------------------------------------------------- >>bits */

MLS__INLINE uint32_t mls__bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

MLS__INLINE float mls__float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* 2^e as fp32, exact for -149 <= e <= 127. */
MLS__INLINE float mls__pow2(int e)
{
    return mls__float(e >= -126 ? (uint32_t)(e + 127) << 23 : (uint32_t)1 << (e + 149));
}

/* Whether floats and doubles behave in this thread as the results need: rounded to nearest, small
   ones kept. A host changes that with fesetround, with the flush-to-zero bits of the processor, or by
   linking with -ffast-math; the mode belongs to a thread. Stored bits are compared, since a comparison
   may itself flush. */
static MLS__UNUSED int mls__floats_here(void)
{
    /* a quarter and three quarters of the last place of 1; the smallest normal and subnormal */
    const volatile float one = 1, less = 0x1p-25f, more = 0x1.8p-24f;
    const volatile float normal = 0x1p-126f, least = 0x1p-149f;
    const volatile double unit = 1, fewer = 0x1p-54, most = 0x1.8p-53;
    const volatile float low = one + less, high = one + more;
    const volatile float half = normal * 0.5f, grown = least * 0x1p24f;
    const volatile double down = unit + fewer, up = unit + most;
    return mls__bits(low) == 0x3f800000u && mls__bits(high) == 0x3f800001u &&
           mls__bits(half) == 0x00400000u && mls__bits(grown) == 0x01000000u && down == 1 &&
           up == 1 + 0x1p-52;
}

/* The same for all threads of a team: they may have been made while the mode was another one. */
static MLS__UNUSED int mls__floats_good(int threads)
{
    int bad = !mls__floats_here();
    (void)threads; /* without OpenMP */
    if (bad || threads < 2) return !bad;
    MLS__OMP(omp parallel num_threads(threads) reduction(| : bad))
    bad |= !mls__floats_here();
    return !bad;
}

/* Round to nearest even, for |x| < 2^22: the sum's last place is 1. */
MLS__INLINE int32_t mls__rne(float x)
{
    return (int32_t)((x + 12582912.0f) - 12582912.0f);
}

/* a * b + c with a single rounding, also where there is no such instruction: the product of two
   floats is exact in double; the sum is rounded to odd, so that rounding it once more is right. */
MLS__INLINE float mls__fma(float a, float b, float c)
{
#if defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#else
    double p = (double)a * (double)b, d = (double)c, s = p + d;
    double t = s - p, error = (p - (s - t)) + (d - t);
    uint64_t u;
    memcpy(&u, &s, sizeof u);
    if ((error > 0 || error < 0) && !(u & 1)) {
        u = (error > 0) == (s > 0) ? u + 1 : u - 1;
        memcpy(&s, &u, sizeof s);
    }
    return (float)s;
#endif
}

MLS__INLINE size_t mls__align(size_t x, size_t to)
{
    return (x + (to - 1)) / to * to;
}

/* a * b into *out; 0 if it would overflow. */
MLS__INLINE int mls__mul(size_t a, size_t b, size_t *out)
{
    if (b && a > SIZE_MAX / 4 / b) return 0; /* a quarter, so that sums of sizes are safe too */
    *out = a * b;
    return 1;
}

/* Messages are put together here, since the library has no stdio: append to a text of size bytes,
   cut where it is full. text may be null. */
static MLS__UNUSED void mls__say(char *text, size_t size, const char *more)
{
    size_t n = 0;
    if (!text || !size) return;
    while (n + 1 < size && text[n]) n++;
    while (n + 1 < size && *more) text[n++] = *more++;
    text[n] = 0;
}

static MLS__UNUSED void mls__say_int(char *text, size_t size, int64_t value)
{
    char digits[24];
    int n = (int)sizeof digits - 1;
    uint64_t u = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    digits[n] = 0;
    do digits[--n] = (char)('0' + u % 10), u /= 10;
    while (u);
    if (value < 0) digits[--n] = '-';
    mls__say(text, size, digits + n);
}

/* --------------------------------------------------------------------------------- >>format */

MLS_DEF const char *mls_status_string(mls_status status)
{
#define MLS__STATUS_TEXT(name, text) text,
    static const char *const texts[] = {MLS__STATUS_LIST(MLS__STATUS_TEXT)};
#undef MLS__STATUS_TEXT
    return (unsigned)status < MLS__STATUS_COUNT ? texts[status] : "unknown status";
}

MLS_DEF mls_status mls_format_check(mls_format f)
{
    if (f.ex > 5 || f.mx > 10 || f.ex + f.mx < 1 || f.eg > 8 || f.mg > 1) return MLS_ERROR_FORMAT;
    if (f.eg == 0 && f.mg != 0) return MLS_ERROR_FORMAT;
    if (f.grouping > MLS_GROUP_NC || f.rounding > MLS_ROUND_STOCHASTIC_CLIPPED) {
        return MLS_ERROR_FORMAT;
    }
    return f.range > MLS_RANGE_PAPER ? MLS_ERROR_FORMAT : MLS_OK;
}

MLS_DEF int32_t mls_format_bits(mls_format f)
{
    return mls_format_check(f) == MLS_OK ? 1 + f.ex + f.mx : 0;
}

/* log2 of the step of the element grid. */
MLS__INLINE int mls__lsb(mls_format f)
{
    return (f.ex ? 1 - (1 << f.ex) : 0) - f.mx;
}

/* Magnitude of the largest code. */
MLS__INLINE int32_t mls__code_max(mls_format f)
{
    return (1 << (f.ex + f.mx)) - 1;
}

/* Integer grid value of the magnitude part of a code: X̄ = q * 2^lsb. At most 2047 * 2^30. */
MLS__INLINE int64_t mls__grid(mls_format f, uint32_t magnitude)
{
    uint32_t e = magnitude >> f.mx, m = magnitude & (((uint32_t)1 << f.mx) - 1);
    if (f.ex == 0 || e == 0) return (int64_t)m;
    return (int64_t)(((uint64_t)1 << f.mx) + m) << (e - 1);
}

/* With the sign of the code. */
MLS__INLINE int64_t mls__grid_signed(mls_format f, uint32_t code)
{
    int64_t q = mls__grid(f, code & (uint32_t)mls__code_max(f));
    return code >> (f.ex + f.mx) ? -q : q;
}

/* Largest k of a group scale. */
MLS__INLINE int mls__k_max(mls_format f)
{
    return f.eg >= 7 ? 127 : (1 << f.eg) - 1;
}

MLS_DEF int32_t mls_format_values(mls_format f, float *values, int32_t capacity)
{
    int32_t bits = mls_format_bits(f), count = bits ? (int32_t)1 << bits : 0;
    if (!values || capacity < count) return 0;
    for (int32_t code = 0; code < count; code++) {
        values[code] = (float)mls__grid_signed(f, (uint32_t)code) * mls__pow2(mls__lsb(f));
    }
    return count;
}

/* Consumes word at *text when it stands there as a whole field. */
static int mls__word(const char **text, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*text, word, n) != 0 || ((*text)[n] != 0 && (*text)[n] != ':')) return 0;
    *text += n;
    return 1;
}

/* Reads "A,B" as two small numbers. */
static int mls__pair(const char **text, uint8_t *a, uint8_t *b)
{
    const char *p = *text;
    uint32_t value[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        if (*p < '0' || *p > '9') return 0;
        while (*p >= '0' && *p <= '9' && value[i] < 100)
            value[i] = value[i] * 10 + (uint32_t)(*p++ - '0');
        if (i == 0 && *p++ != ',') return 0;
    }
    if (*p != 0 && *p != ':') return 0;
    if (value[0] > 255 || value[1] > 255) return 0;
    *a = (uint8_t)value[0], *b = (uint8_t)value[1];
    *text = p;
    return 1;
}

static const char *const mls__groupings[] = {"none", "n", "c", "nc"};
static const char *const mls__roundings[] = {"nearest", "stochastic", "clipped"};
static const char *const mls__ranges[] = {"fit", "paper"};

/* What a word in front of a format starts from. */
static const struct {
    const char *word;
    mls_format format;
} mls__presets[] = {
    {"mls-", {0, 0, 2, 0, MLS_GROUP_NC, MLS_ROUND_NEAREST, MLS_RANGE_FIT}},
    {"paper-", {0, 0, 8, 1, MLS_GROUP_NC, MLS_ROUND_STOCHASTIC_CLIPPED, MLS_RANGE_PAPER}}};

static int mls__zero_format(mls_format f)
{
    return !(f.ex | f.mx | f.eg | f.mg | f.grouping | f.rounding | f.range);
}

/* Of one of mls_formats: said or not. */
static int mls__fp32(mls_format f)
{
    if (f.rounding == MLS_ROUND_NONE) f.rounding = 0;
    return mls__zero_format(f);
}

MLS_DEF mls_status mls_format_parse(mls_format *format, const char *text)
{
    mls_format f;
    if (!format || !text) return MLS_ERROR_ARGUMENT;
    f = mls__zero_format(*format) ? mls__presets[0].format : *format;
    if (strcmp(text, "fp32") == 0) {
        memset(format, 0, sizeof *format);
        return MLS_OK;
    }
    for (size_t i = 0; i < sizeof mls__presets / sizeof *mls__presets; i++) {
        size_t n = strlen(mls__presets[i].word);
        if (strncmp(text, mls__presets[i].word, n) != 0) continue;
        if (i) f = mls__presets[i].format; /* the first one says nothing new */
        text += n;
        break;
    }
    if (!mls__pair(&text, &f.ex, &f.mx)) return MLS_ERROR_FORMAT;
    while (*text == ':') {
        int known = 0;
        text++;
        for (uint8_t i = 0; i < 4 && !known; i++) {
            if (!mls__word(&text, mls__groupings[i])) continue;
            f.grouping = i, known = 1;
            if (text[0] == ':' && text[1] >= '0' && text[1] <= '9') {
                text++;
                if (!mls__pair(&text, &f.eg, &f.mg)) return MLS_ERROR_FORMAT;
            }
        }
        for (uint8_t i = 0; i < 3 && !known; i++) {
            if (mls__word(&text, mls__roundings[i])) f.rounding = i, known = 1;
        }
        for (uint8_t i = 0; i < 2 && !known; i++) {
            if (mls__word(&text, mls__ranges[i])) f.range = i, known = 1;
        }
        if (!known) return MLS_ERROR_FORMAT;
    }
    if (*text || mls_format_check(f) != MLS_OK) return MLS_ERROR_FORMAT;
    *format = f;
    return MLS_OK;
}

/* Appends a format; its size tells whether it was cut. */
static void mls__say_format(mls_format f, char *text, size_t size)
{
    const uint8_t pairs[2][2] = {{f.ex, f.mx}, {f.eg, f.mg}};
    if (mls__fp32(f)) {
        mls__say(text, size, "fp32");
        return;
    }
    for (int i = 0; i < 2; i++) {
        mls__say_int(text, size, pairs[i][0]);
        mls__say(text, size, ",");
        mls__say_int(text, size, pairs[i][1]);
        mls__say(text, size, ":");
        if (i) break;
        mls__say(text, size, mls__groupings[f.grouping]);
        mls__say(text, size, ":");
    }
    mls__say(text, size, mls__roundings[f.rounding]);
    mls__say(text, size, ":");
    mls__say(text, size, mls__ranges[f.range]);
}

MLS_DEF mls_status mls_format_text(mls_format format, char *text, size_t size)
{
    char whole[MLS_FORMAT_TEXT] = {0};
    if (!text || !size) return MLS_ERROR_ARGUMENT;
    text[0] = 0;
    if (!mls__fp32(format) && mls_format_check(format) != MLS_OK) return MLS_ERROR_FORMAT;
    mls__say_format(format, whole, sizeof whole);
    mls__say(text, size, whole);
    return strlen(whole) < size ? MLS_OK : MLS_ERROR_MEMORY;
}

/* The operands in the order of mls_formats: the three roles in their first product, then in their
   second. */
enum {
    MLS__ROLES = 3,
    MLS__OPERANDS = 2 * MLS__ROLES
};
static const char *const mls__operand_words[MLS__OPERANDS] = {"w",      "a",        "e",
                                                              "w.data", "a.weight", "e.weight"};

/* Formats as words for which there is a name. Groups by the dimension that the product sums over are
   shiftquant: input channels, output channels, images. */
#define MLS__SHIFTQUANT(m)                                                               \
    "w=0," m ":c:2,0 a=0," m ":c:2,0 e=0," m ":c:2,0 w.data=0," m ":n:2,0 a.weight=0," m \
    ":n:2,0 e.weight=0," m ":n:2,0"
static const struct {
    const char *word, *text;
} mls__formats_presets[] = {{"shiftquant-4", MLS__SHIFTQUANT("3")},
                            {"shiftquant-5", MLS__SHIFTQUANT("4")},
                            {"shiftquant-6", MLS__SHIFTQUANT("5")},
                            {"shiftquant-8", MLS__SHIFTQUANT("7")}};
#undef MLS__SHIFTQUANT

/* What a format does not say, by its role. */
static mls_format mls__role_format(int role)
{
    mls_format f = mls__presets[0].format;
    f.ex = 2, f.mx = 1;
    if (role == 2) f.rounding = MLS_ROUND_STOCHASTIC;
    return f;
}

/* The formats of all operands; all zero: fp32, and nothing else. */
static void mls__formats_spread(const mls_formats *formats, mls_format *of)
{
    const mls_format f[MLS__OPERANDS] = {
        formats->weight,         formats->activation,           formats->error,
        formats->weight_in_data, formats->activation_in_weight, formats->error_in_weight};
    for (int i = 0; i < MLS__OPERANDS; i++) {
        of[i] = i >= MLS__ROLES && mls__zero_format(f[i]) ? of[i - MLS__ROLES] : f[i];
        if (mls__fp32(of[i])) memset(&of[i], 0, sizeof of[i]);
    }
}

/* The other way: every fp32 is said, and an operand that has one format for both products says it once. */
static mls_formats mls__formats_gather(const mls_format *of)
{
    mls_format f[MLS__OPERANDS];
    mls_formats formats;
    for (int i = MLS__OPERANDS - 1; i >= 0; i--) {
        f[i] = of[i];
        if (i >= MLS__ROLES && memcmp(&of[i], &of[i - MLS__ROLES], sizeof *of) == 0) {
            memset(&f[i], 0, sizeof f[i]);
        } else if (mls__zero_format(f[i])) {
            f[i].rounding = MLS_ROUND_NONE;
        }
    }
    formats.weight = f[0], formats.activation = f[1], formats.error = f[2];
    formats.weight_in_data = f[3], formats.activation_in_weight = f[4];
    formats.error_in_weight = f[5];
    return formats;
}

static mls_status mls__formats_wrong(char *wrong, size_t size, const char *what, const char *word,
                                     size_t length)
{
    char some[64] = {0};
    if (wrong && size) wrong[0] = 0;
    memcpy(some, word, length < sizeof some - 1 ? length : sizeof some - 1);
    mls__say(wrong, size, "'");
    mls__say(wrong, size, some);
    mls__say(wrong, size, what);
    return MLS_ERROR_FORMAT;
}

/* One word: of a format for all, or for one operand, or a preset. given has a bit for each operand whose
   format was said, and above these for each role's. Returns null, or what is wrong. */
static const char *mls__formats_word(const char *word, mls_format *of, uint32_t *given)
{
    uint32_t says = 0;
    const char *text = word;
    for (size_t i = 0; i < sizeof mls__formats_presets / sizeof *mls__formats_presets; i++) {
        mls_formats preset;
        if (strcmp(word, mls__formats_presets[i].word) != 0) continue;
        if (*given) return "' gives a role a second format";
        mls_formats_parse(&preset, mls__formats_presets[i].text, 0, 0);
        mls__formats_spread(&preset, of);
        *given = UINT32_MAX;
        return 0;
    }
    for (int i = 0; i < MLS__OPERANDS; i++) {
        const size_t n = strlen(mls__operand_words[i]);
        if (strncmp(word, mls__operand_words[i], n) != 0 || word[n] != '=') continue;
        text = word + n + 1;
        says = (uint32_t)1 << (i < MLS__ROLES ? MLS__OPERANDS + i : i);
    }
    if (!says) says = 7u << MLS__OPERANDS;
    for (int i = 0; i < MLS__OPERANDS; i++) {
        const int role = i % MLS__ROLES;
        mls_format f = mls__role_format(role);
        if (!(says >> i & 1) && !(says >> (MLS__OPERANDS + role) & 1)) continue;
        if (mls_format_parse(&f, text) != MLS_OK) {
            return "' is not a format: want fp32, 2,1 or 2,1:nc:2,0 ...";
        }
        if (says >> i & 1 || !(*given >> i & 1)) of[i] = f; /* the product's word says more */
    }
    if (*given & says) return "' gives a role a second format";
    *given |= says;
    return 0;
}

MLS_DEF mls_status mls_formats_parse(mls_formats *formats, const char *text, char *wrong,
                                     size_t size)
{
    mls_format of[MLS__OPERANDS];
    uint32_t given = 0;
    if (wrong && size) wrong[0] = 0;
    if (!formats || !text) return MLS_ERROR_ARGUMENT;
    for (int i = 0; i < MLS__OPERANDS; i++) of[i] = mls__role_format(i % MLS__ROLES);
    while (*text == ' ') text++;
    do {
        size_t length = 0;
        char word[64] = {0};
        const char *bad;
        while (text[length] && text[length] != ' ') length++;
        if (length >= sizeof word) {
            return mls__formats_wrong(wrong, size, "...' is too long for a format", text, length);
        }
        memcpy(word, text, length);
        bad = mls__formats_word(word, of, &given);
        if (bad) return mls__formats_wrong(wrong, size, bad, text, length);
        text += length;
        while (*text == ' ') text++;
    } while (*text);
    *formats = mls__formats_gather(of);
    return MLS_OK;
}

MLS_DEF mls_status mls_formats_text(mls_formats formats, char *text, size_t size)
{
    mls_format of[MLS__OPERANDS];
    char whole[MLS_FORMATS_TEXT] = {0};
    int numbers = 0; /* operands that are not fp32 */
    if (!text || !size) return MLS_ERROR_ARGUMENT;
    text[0] = 0;
    mls__formats_spread(&formats, of);
    for (int i = 0; i < MLS__OPERANDS; i++) {
        if (!mls__zero_format(of[i]) && mls_format_check(of[i]) != MLS_OK) return MLS_ERROR_FORMAT;
        numbers += !mls__zero_format(of[i]);
        if (i >= MLS__ROLES && memcmp(&of[i], &of[i - MLS__ROLES], sizeof *of) == 0) continue;
        if (i) mls__say(whole, sizeof whole, " ");
        mls__say(whole, sizeof whole, mls__operand_words[i]);
        mls__say(whole, sizeof whole, "=");
        mls__say_format(of[i], whole, sizeof whole);
    }
    if (!numbers) memcpy(whole, "fp32", 5);
    mls__say(text, size, whole);
    return strlen(whole) < size ? MLS_OK : MLS_ERROR_MEMORY;
}

/* --------------------------------------------------------------------------------- >>tensor */

/* Elements of a shape; 0 if a dimension is not positive or the product overflows. */
static size_t mls__elements(mls_shape s)
{
    size_t n;
    if (s.n < 1 || s.h < 1 || s.w < 1 || s.c < 1) return 0;
    n = (size_t)s.n;
    if (!mls__mul(n, (size_t)s.h, &n) || !mls__mul(n, (size_t)s.w, &n)) return 0;
    return mls__mul(n, (size_t)s.c, &n) && n <= SIZE_MAX / 32 ? n : 0;
}

/* Elements of one n: h * w * c. */
MLS__INLINE size_t mls__image(mls_shape s)
{
    return (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

static MLS__UNUSED int mls__same_shape(mls_shape a, mls_shape b)
{
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

/* Distance between the group codes of neighbouring n and c: 0 where they share one. */
MLS__INLINE size_t mls__group_step_n(mls_format f, mls_shape s)
{
    return f.grouping == MLS_GROUP_NC ? (size_t)s.c : f.grouping == MLS_GROUP_N ? 1 : 0;
}
MLS__INLINE size_t mls__group_step_c(mls_format f)
{
    return f.grouping == MLS_GROUP_NC || f.grouping == MLS_GROUP_C;
}

MLS_DEF size_t mls_group_count(mls_format f, mls_shape s)
{
    if (!mls__elements(s)) return 0;
    return (mls__group_step_n(f, s) ? (size_t)s.n : 1) * (mls__group_step_c(f) ? (size_t)s.c : 1);
}

/* Bytes of count element codes. */
static size_t mls__code_bytes(mls_format f, size_t count)
{
    int bits = 1 + f.ex + f.mx;
    return bits <= 4 ? (count + 1) / 2 : bits <= 8 ? count : 2 * count;
}

enum {
    MLS__ALIGN = 64
}; /* a cache line, and the widest vector */

/* Bytes from memory on to the first that is aligned. */
MLS__INLINE size_t mls__skip(const void *memory)
{
    return (MLS__ALIGN - (uintptr_t)memory % MLS__ALIGN) % MLS__ALIGN;
}

MLS_DEF size_t mls_tensor_size(mls_format f, mls_shape s)
{
    size_t elements = mls__elements(s);
    if (mls_format_check(f) != MLS_OK || !elements) return 0;
    return MLS__ALIGN - 1 + mls__align((size_t)s.n * (size_t)s.c * sizeof(float), MLS__ALIGN) +
           mls__align(mls_group_count(f, s) * sizeof(uint16_t), MLS__ALIGN) +
           mls__code_bytes(f, elements);
}

/* All scales at the bottom, all codes zero (section 3, step 1 of the quantizer). */
static void mls__tensor_clear(mls_tensor *t)
{
    size_t groups = mls_group_count(t->format, t->shape);
    t->scale = 0;
    for (size_t g = 0; g < groups; g++) {
        t->group[g] = (uint16_t)(mls__k_max(t->format) << t->format.mg);
    }
    /* an operand has none */
    if (t->code) memset(t->code, 0, mls__code_bytes(t->format, mls__elements(t->shape)));
}

/* Sets the pointers only: what memory holds stays. */
static void mls__tensor_place(mls_tensor *t, mls_format f, mls_shape s, void *memory)
{
    uint8_t *p = (uint8_t *)memory;
    p += mls__skip(p);
    t->format = f;
    t->shape = s;
    t->scale = 0;
    t->peak = (float *)(void *)p;
    p += mls__align((size_t)s.n * (size_t)s.c * sizeof(float), MLS__ALIGN);
    t->group = (uint16_t *)(void *)p;
    p += mls__align(mls_group_count(f, s) * sizeof(uint16_t), MLS__ALIGN);
    t->code = p;
}

MLS_DEF mls_status mls_tensor_init(mls_tensor *t, mls_format f, mls_shape s, void *memory,
                                   size_t size)
{
    if (!t || !memory) return MLS_ERROR_ARGUMENT;
    if (mls_format_check(f) != MLS_OK) return MLS_ERROR_FORMAT;
    if (!mls__elements(s)) return MLS_ERROR_SHAPE;
    if (size < mls_tensor_size(f, s)) return MLS_ERROR_MEMORY;
    mls__tensor_place(t, f, s, memory);
    mls__tensor_clear(t);
    return MLS_OK;
}

/* Code of element i, where bits says which of the three packings it is. */
MLS__INLINE uint32_t mls__code_get(const uint8_t *code, int bits, size_t i)
{
    if (bits <= 4) return (uint32_t)(code[i / 2] >> (i % 2 * 4)) & 15u;
    if (bits <= 8) return code[i];
    return code[2 * i] | (uint32_t)code[2 * i + 1] << 8;
}

/* In rising order of i: an even one clears its whole byte. */
MLS__INLINE void mls__code_put(uint8_t *code, int bits, size_t i, uint32_t value)
{
    if (bits <= 4) {
        code[i / 2] = (uint8_t)(i % 2 ? code[i / 2] | value << 4 : value);
    } else if (bits <= 8) {
        code[i] = (uint8_t)value;
    } else {
        code[2 * i] = (uint8_t)(value & 255u), code[2 * i + 1] = (uint8_t)(value >> 8);
    }
}

MLS_DEF uint32_t mls_tensor_code(const mls_tensor *t, size_t index)
{
    return mls__code_get(t->code, 1 + t->format.ex + t->format.mx, index);
}

/* --------------------------------------------------------------------------------- >>random */

/* A bijection of 64 bits that mixes well (the finalizer of splitmix64). */
MLS__INLINE uint64_t mls__mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

MLS_DEF uint64_t mls_seed(uint64_t seed, uint64_t part)
{
    return mls__mix(mls__mix(seed + 0x9e3779b97f4a7c15u) ^ (part + 1) * 0xd1342543de82ef95u);
}

/* Keys of the 2^33 elements that share index >> 33. */
typedef struct mls__keys {
    uint32_t a, b;
} mls__keys;

static mls__keys mls__random_keys(uint64_t seed, uint64_t high)
{
    uint64_t key = mls_seed(seed, high);
    mls__keys keys = {(uint32_t)key, (uint32_t)(key >> 32)};
    return keys;
}

/* 32 bits for two neighbouring elements; two multiplications, so that vectors of it are cheap.
   The multipliers and shifts are those of Wellons' lowbias32; the keys are ours. */
MLS__INLINE uint32_t mls__random32(mls__keys keys, uint32_t pair)
{
    uint32_t h = pair ^ keys.a;
    h = (h ^ h >> 16) * 0x7feb352du;
    h = ((h ^ h >> 15) + keys.b) * 0x846ca68bu;
    return h ^ h >> 16;
}

MLS_DEF uint32_t mls_random16(uint64_t seed, uint64_t index)
{
    uint32_t h = mls__random32(mls__random_keys(seed, index >> 33), (uint32_t)(index >> 1));
    return index & 1 ? h >> 16 : h & 0xffffu;
}

/* ------------------------------------------------------------------------------ >>reference
   The quantizer element by element, as docs/FORMAT.md states it. Every other path equals it. */

/* What the elements of one tensor share. */
typedef struct mls__coder {
    mls_format format;
    mls_shape shape;
    const uint16_t *group;
    float r[2]; /* (1 / lsb) / ((1 + m / 2^mg) * S_t), by m */
    float q_max;
    uint64_t seed;
    /* size 0: codes, at their place. Otherwise integers q * (2^mg + m) * 2^(fold - k) with the sign
       of x, of size bytes, xor flip, from the first one of the range on. */
    int size, fold, flip;
} mls__coder;

MLS__INLINE float mls__group_fraction(mls_format f, uint32_t m)
{
    return f.mg && m ? 1.5f : 1.0f;
}

static mls__coder mls__coder_make(const mls_tensor *t, uint64_t seed)
{
    mls__coder c;
    c.format = t->format;
    c.shape = t->shape;
    c.group = t->group;
    c.q_max = (float)mls__grid(t->format, (uint32_t)mls__code_max(t->format));
    for (uint32_t m = 0; m < 2; m++) {
        c.r[m] = mls__pow2(-mls__lsb(t->format)) / (mls__group_fraction(t->format, m) * t->scale);
    }
    c.seed = seed;
    c.size = c.fold = c.flip = 0;
    return c;
}

/* The integer of a code, as mls__coder says. */
static int32_t mls__integer_of(const mls__coder *c, uint32_t code, uint32_t g)
{
    mls_format f = c->format;
    int32_t k = (int32_t)(g >> f.mg), fraction = (1 << f.mg) + (int32_t)(g & f.mg);
    int32_t shift = c->fold > k ? c->fold - k : 0; /* groups of zeros may lie below */
    return (int32_t)((uint32_t)(mls__grid_signed(f, code) * fraction) << shift) ^ c->flip;
}

/* Code of x in a group with scale code g; u are 16 random bits. */
static uint32_t mls__encode(const mls__coder *c, float x, uint32_t g, uint32_t u)
{
    mls_format f = c->format;
    uint32_t k = g >> f.mg, m = g & f.mg, sign = mls__bits(x) >> 31, code;
    float y = (mls__float(mls__bits(x) & 0x7fffffffu) * mls__pow2((int)k)) * c->r[m];
    int s = 0; /* log2 of the step at y */
    int32_t v; /* y in steps, rounded */
    if (y > c->q_max) y = c->q_max;
    if (f.ex) {
        s = (int)(mls__bits(y) >> 23) - 127 - f.mx;
        if (s < 0) s = 0;
    }
    if (f.rounding == MLS_ROUND_NEAREST) {
        v = mls__rne(y * mls__pow2(-s));
    } else {
        v = (int32_t)(y * mls__pow2(16 - s)); /* truncates; below 2^27 */
        v = (v + (int32_t)u) >> 16;
    }
    if (f.rounding == MLS_ROUND_STOCHASTIC_CLIPPED && f.ex) {
        int32_t last = y < (float)(1 << f.mx) ? (1 << f.mx) - 1 : (2 << f.mx) - 1;
        if (v > last) v = last;
    }
    /* Gradual underflow makes the codes of one sign count on without a gap: a carry of v to
       2^(mx+1) is the first code of the next exponent. */
    code = (uint32_t)(s << f.mx) + (uint32_t)v;
    if (code > (uint32_t)mls__code_max(f)) code = (uint32_t)mls__code_max(f);
    return code ? code | sign << (f.ex + f.mx) : 0;
}

static void mls__encode_range_scalar(const mls__coder *c, const float *x, uint8_t *code,
                                     size_t first, size_t last)
{
    size_t image = mls__image(c->shape), channels = (size_t)c->shape.c;
    size_t step_n = mls__group_step_n(c->format, c->shape), step_c = mls__group_step_c(c->format);
    int bits = 1 + c->format.ex + c->format.mx;
    for (size_t i = first; i < last; i++) {
        uint32_t g = c->group[i / image * step_n + i % channels * step_c];
        uint32_t u = c->format.rounding == MLS_ROUND_NEAREST ? 0 : mls_random16(c->seed, i);
        uint32_t v = mls__encode(c, x[i], g, u);
        int32_t q = c->size ? mls__integer_of(c, v, g) : 0;
        int16_t q16 = (int16_t)q;
        if (c->size == 0) mls__code_put(code, bits, i, v);
        if (c->size == 1) code[i - first] = (uint8_t)q;
        if (c->size == 2) memcpy(code + 2 * (i - first), &q16, 2);
    }
}

/* Bits that a code or an integer takes. */
MLS__INLINE int mls__width(const mls__coder *c)
{
    int bits = 1 + c->format.ex + c->format.mx;
    return c->size ? 8 * c->size : bits <= 4 ? 4 : bits <= 8 ? 8 : 16;
}

/* Vectors read the scales of so many elements at a time. */
#define MLS__WINDOW 1024

/* Group codes of elements first .. first + count - 1. */
static MLS__UNUSED void mls__groups(const mls__coder *c, size_t first, size_t count, uint16_t *to)
{
    size_t image = mls__image(c->shape), channels = (size_t)c->shape.c;
    size_t step_n = mls__group_step_n(c->format, c->shape), step_c = mls__group_step_c(c->format);
    size_t n = first / image, at = first % image, ch = at % channels;
    while (count) {
        size_t run = channels - ch < count ? channels - ch : count;
        const uint16_t *from = c->group + n * step_n + ch * step_c;
        size_t j = 0;
        for (; step_c && run - j >= 16; j += 16) memcpy(to + j, from + j, 16 * sizeof *to);
        for (; j < run; j++) to[j] = from[j * step_c];
        to += run, count -= run, at += run, ch = 0;
        if (at == image) at = 0, n++;
    }
}

/* peak[ch] = largest |x[.][ch]| over the pixels of one n, as bit patterns: they order as the
   magnitudes do, with infinities and NaNs on top. */
static void mls__peaks_scalar(const float *x, size_t pixels, size_t channels, float *peak)
{
    for (size_t ch = 0; ch < channels; ch++) {
        uint32_t most = 0;
        for (size_t p = 0; p < pixels; p++) {
            uint32_t u = mls__bits(x[p * channels + ch]) & 0x7fffffffu;
            if (u > most) most = u;
        }
        memcpy(&peak[ch], &most, sizeof most);
    }
}

/* Code of the smallest group scale that is >= ratio, for 0 <= ratio <= 1. */
static uint16_t mls__group_code(mls_format f, float ratio)
{
    int k_max = mls__k_max(f), k;
    /* 2^-k is at most the ratio from here on, or this is the bottom */
    k = 127 - (int)(mls__bits(ratio) >> 23);
    for (k = k < k_max ? k : k_max; k >= 0; k--) {
        for (int m = 0; m <= f.mg; m++) {
            if ((m ? 1.5f : 1.0f) * mls__pow2(-k) >= ratio) return (uint16_t)(k << f.mg | m);
        }
    }
    return 0;
}

/* ---------------------------------------------------------------------------------- >>units
   The vector units that this build knows. Each template of the three headers is instantiated for
   them by >>each, which sets MLS__UNIT to one of these. */
#define MLS__ISA_SCALAR     0
#define MLS__ISA_SSE41      1
#define MLS__ISA_AVX2       2
#define MLS__ISA_AVXVNNI    3
#define MLS__ISA_AVX512VNNI 4
#define MLS__ISA_AMX        5
#define MLS__ISA_NEON       6
#define MLS__ISA_DOTPROD    7

#define MLS__X86  0
#define MLS__NEON 0
#if !defined(MLS_NO_SIMD) && (defined(__GNUC__) || defined(__clang__)) && !defined(__TINYC__)
#if defined(__x86_64__) || defined(__i386__)
#undef MLS__X86
#define MLS__X86 1
#elif defined(__ARM_NEON) && !defined(__ARM_BIG_ENDIAN)
#undef MLS__NEON
#define MLS__NEON 1
#endif
#endif

/* What not every compiler knows. */
#if MLS__X86 && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define MLS__HAS_AVXVNNI      1
#define MLS__UNITS_AVXVNNI(X) X(avxvnni, avx2)
#else
#define MLS__HAS_AVXVNNI 0
#define MLS__UNITS_AVXVNNI(X)
#endif
/* Tiles are for 64 bits only, and Linux gives them to those who ask. */
#if MLS__HAS_AVXVNNI && defined(__x86_64__) && !defined(__ILP32__) && defined(__linux__)
#define MLS__HAS_AMX      1
#define MLS__UNITS_AMX(X) X(amx, avx512vnni)
#else
#define MLS__HAS_AMX 0
#define MLS__UNITS_AMX(X)
#endif

/* gcc for 64-bit Windows stores vectors of 32 bytes with aligned moves to a stack that is aligned to
   16: a crash, unless the compiler is patched (gcc bug 54412). It has no macro that tells. */
#if defined(_WIN64) && !defined(__clang__) && !defined(MLS_WIN64_AVX)
#define MLS__AVX 0
#else
#define MLS__AVX 1
#endif

/* MLS__UNITS(X): X(unit, vectors) for each unit, worst first. The quantizer and the layers of a
   unit are those of the unit that vectors names: more dot products do not help them. */
#if MLS__X86
#include <cpuid.h>
#include <immintrin.h>
/* All lanes: the masked forms spare g++ 12 a false warning about the unmasked ones. */
#define MLS__ALL16 ((__mmask16)0xffff)
#define MLS__UNITS(X)         \
    X(scalar, scalar)         \
    X(portable, scalar)       \
    X(sse41, sse41)           \
    X(avx2, avx2)             \
    MLS__UNITS_AVXVNNI(X)     \
    X(avx512vnni, avx512vnni) \
    MLS__UNITS_AMX(X)

#elif MLS__NEON
#include <arm_neon.h>
/* The attribute must not take away what the command line gives, or nothing can be inlined. */
#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#define MLS__TARGET_DOTPROD
#elif defined(__aarch64__) && !defined(__clang__) && __GNUC__ >= 8
#if defined(__ARM_FEATURE_COMPLEX) || defined(__ARM_FEATURE_SVE) || \
    defined(__ARM_FEATURE_FP16_SCALAR_ARITHMETIC)
#define MLS__TARGET_DOTPROD __attribute__((target("+dotprod"))) /* 8.2 or later already */
#elif defined(__ARM_FEATURE_AES) || defined(__ARM_FEATURE_CRYPTO)
#define MLS__TARGET_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod+crypto")))
#else
#define MLS__TARGET_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#endif
#if defined(MLS__TARGET_DOTPROD) && defined(__linux__) && defined(__has_include)
#if __has_include(<sys/auxv.h>)
#include <sys/auxv.h>
#define MLS__AUXV 1
#endif
#endif
#if !defined(__aarch64__)
/* Here NEON flushes denormals to zero: it may do the integers, but no float arithmetic. */
#define MLS__UNITS(X) X(scalar, scalar) X(portable, scalar) X(neon, scalar)
#elif defined(MLS__TARGET_DOTPROD)
#define MLS__UNITS(X) X(scalar, scalar) X(portable, scalar) X(neon, neon) X(dotprod, neon)
#else
#define MLS__UNITS(X) X(scalar, scalar) X(portable, scalar) X(neon, neon)
#endif

#else
#define MLS__UNITS(X) X(scalar, scalar) X(portable, scalar)
#endif

#define MLS__UNIT_NAME(unit, vectors) #unit,
static const char *const mls__unit_names[] = {MLS__UNITS(MLS__UNIT_NAME)};
#undef MLS__UNIT_NAME
#define MLS__UNIT_INDEX(unit, vectors) mls__index_##unit,
enum {
    MLS__UNITS(MLS__UNIT_INDEX) MLS__UNIT_COUNT
};
#undef MLS__UNIT_INDEX

#if MLS__HAS_AMX && defined(MLS_AMX_EMULATE)
static int mls__amx_here(void)
{
    return 1;
}
#elif MLS__HAS_AMX
/* Tiles of int8: the CPU has them, the system saves them and lets this process use them. */
static int mls__amx_here(void)
{
    enum {
        MLS__ARCH_PRCTL = 158,
        MLS__ARCH_REQ_XCOMP_PERM = 0x1023,
        MLS__XFEATURE_XTILEDATA = 18
    };
    const unsigned tile = 1u << 24, int8 = 1u << 25, saved = 3u << 17;
    unsigned a, b, c, d, high;
    long status;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & tile) || !(d & int8)) return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(high) : "c"(0));
    if ((a & saved) != saved) return 0;
    /* bare, as <unistd.h> and <sys/syscall.h> would be needed for nothing else */
    __asm__ volatile("syscall"
                     : "=a"(status)
                     : "a"((long)MLS__ARCH_PRCTL), "D"((long)MLS__ARCH_REQ_XCOMP_PERM),
                       "S"((long)MLS__XFEATURE_XTILEDATA)
                     : "rcx", "r11", "memory");
    return status == 0;
}
#endif

/* Bit i: this CPU can run unit i. */
static unsigned mls__units_find(void)
{
    unsigned found = 1u << mls__index_scalar | 1u << mls__index_portable;
#if MLS__X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.1")) found |= 1u << mls__index_sse41;
    if (!MLS__AVX || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return found;
    found |= 1u << mls__index_avx2;
#if MLS__HAS_AVXVNNI
    {
        unsigned a, b, c, d; /* not all of these compilers know the name */
        if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 &&
            __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4)) {
            found |= 1u << mls__index_avxvnni;
        }
    }
#endif
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni")) {
        found |= 1u << mls__index_avx512vnni;
#if MLS__HAS_AMX
        if (mls__amx_here()) found |= 1u << mls__index_amx;
#endif
    }
#elif MLS__NEON
    found |= 1u << mls__index_neon;
#if defined(MLS__TARGET_DOTPROD) && defined(__ARM_FEATURE_DOTPROD)
    found |= 1u << mls__index_dotprod;
#elif defined(MLS__AUXV)
    if (getauxval(AT_HWCAP) & 1u << 20) found |= 1u << mls__index_dotprod; /* HWCAP_ASIMDDP */
#endif
#endif
    return found;
}
#undef MLS__AVX
#undef MLS__AUXV

/* ------------------------------------------------------------------------------- >>dispatch */

#if !defined(MLS_NO_THREADS) && defined(__GCC_ATOMIC_INT_LOCK_FREE) && \
    __GCC_ATOMIC_INT_LOCK_FREE == 2 && !defined(__TINYC__)
#define MLS__GET(p)    __atomic_load_n(p, __ATOMIC_RELAXED)
#define MLS__PUT(p, x) __atomic_store_n(p, x, __ATOMIC_RELAXED)
#else
#define MLS__GET(p)    (*(p))
#define MLS__PUT(p, x) (*(p) = (x))
#endif

/* Racing threads store the same. */
static unsigned mls__units_found; /* 0: not looked for yet */
static int mls__unit_chosen;      /* index + 1; 0: not chosen yet */

/* Whether unit, an index below MLS__UNIT_COUNT, can run here. Unit 0 always can. */
static int mls__unit_here(int unit)
{
    unsigned found = MLS__GET(&mls__units_found);
    if (!found) {
        found = mls__units_find();
        MLS__PUT(&mls__units_found, found);
    }
    return (int)(found >> unit & 1);
}

/* Index of the unit in use. */
static int mls__unit(void)
{
    int unit = MLS__GET(&mls__unit_chosen);
    if (!unit) {
        unit = MLS__UNIT_COUNT;
        while (!mls__unit_here(unit - 1)) unit--;
        MLS__PUT(&mls__unit_chosen, unit);
    }
    return unit - 1;
}
#undef MLS__GET

#define MLS__EACH     MLS_HEADER
#define MLS__EACH_DOT /* the vectors, for all units */
#include MLS_HEADER
#undef MLS__EACH_DOT /* the quantizer */
#include MLS_HEADER
#undef MLS__EACH
#undef MLS__WINDOW

typedef struct mls__quantizer {
    void (*peaks)(const float *x, size_t pixels, size_t channels, float *peak);
    void (*encode_range)(const mls__coder *c, const float *x, uint8_t *code, size_t first,
                         size_t last);
} mls__quantizer;

#define MLS__ROW(unit, vectors) {mls__peaks_##vectors, mls__encode_range_##vectors},
static const mls__quantizer mls__quantizers[] = {MLS__UNITS(MLS__ROW)};
#undef MLS__ROW

/* ------------------------------------------------------------------------------- >>quantize
   Three stages, so that a trainer can run the first and the last image by image. */

/* Stage 1: t->peak for images first .. last - 1. */
static void mls__quantize_peaks(mls_tensor *t, const float *x, size_t first, size_t last)
{
    size_t c = (size_t)t->shape.c, pixels = (size_t)t->shape.h * (size_t)t->shape.w;
    for (size_t n = first; n < last; n++) {
        mls__quantizers[mls__unit()].peaks(x + n * pixels * c, pixels, c, t->peak + n * c);
    }
}

/* Stage 2: scale and groups from the peaks. Changes nothing on an error. */
static mls_status mls__quantize_scales(mls_tensor *t)
{
    mls_format f = t->format;
    size_t n = (size_t)t->shape.n, c = (size_t)t->shape.c;
    size_t step_n = mls__group_step_n(f, t->shape), step_c = mls__group_step_c(f);
    uint32_t most = 0;
    float t_max, scale;
    for (size_t i = 0; i < n * c; i++) {
        uint32_t u = mls__bits(t->peak[i]);
        if (u > most) most = u;
    }
    t_max = mls__float(most);
    if (most >= 0x7f800000u) return MLS_ERROR_NONFINITE;
    if (t_max < mls__pow2(-64)) {
        mls__tensor_clear(t);
        return MLS_OK;
    }
    scale = t_max;
    if (f.range == MLS_RANGE_FIT) {
        float q_max = (float)mls__grid(f, (uint32_t)mls__code_max(f));
        scale = t_max / (q_max * mls__pow2(mls__lsb(f))); /* the divisor is exact: top */
    }
    if (scale > 3.4e38f / 2) return MLS_ERROR_NONFINITE; /* 1.5 * S_t must be finite */
    t->scale = scale;
    /* A group that several peaks share takes their largest: the others have a larger code. */
    memset(t->group, 0xff, mls_group_count(f, t->shape) * sizeof *t->group);
    for (size_t i = 0; i < n; i++) {
        for (size_t ch = 0; ch < c; ch++) {
            uint16_t *g = t->group + i * step_n + ch * step_c;
            float ratio = t->peak[i * c + ch] / t_max;
            uint16_t code = mls__group_code(f, ratio);
            /* k falls and m rises with the scale */
            uint32_t order = (uint32_t)(code ^ f.mg), old = (uint32_t)(*g ^ f.mg);
            if (*g == 0xffff || order < old) *g = code;
        }
    }
    return MLS_OK;
}

static void mls__encode_all(mls__coder *c, const float *x, uint8_t *to, size_t first, size_t last)
{
    while (first < last) {
        /* one pair of keys a call */
        uint64_t stop = ((uint64_t)first | 0x1ffffffffu) + 1;
        size_t end = (uint64_t)last < stop ? last : (size_t)stop;
        mls__quantizers[mls__unit()].encode_range(c, x, to, first, end);
        to += (end - first) * (size_t)c->size;
        first = end;
    }
}

/* Stage 3: codes of elements first .. last - 1, after stage 2. first is a multiple of 16, and so
   is last unless it is the end of the tensor: two ranges never share a byte. */
static void mls__quantize_codes(mls_tensor *t, const float *x, uint64_t seed, size_t first,
                                size_t last)
{
    mls__coder c;
    if (t->scale == 0) return;
    c = mls__coder_make(t, seed);
    mls__encode_all(&c, x, t->code, first, last);
}

/* The same as integers of size bytes, folded to the exponent fold. */
static MLS__UNUSED void mls__quantize_integers(const mls_tensor *t, const float *x, uint64_t seed,
                                               size_t first, size_t last, int size, int fold,
                                               int flip, uint8_t *to)
{
    mls__coder c;
    if (t->scale == 0) {
        memset(to, flip, (last - first) * (size_t)size);
        return;
    }
    c = mls__coder_make(t, seed);
    c.size = size, c.fold = fold, c.flip = flip;
    mls__encode_all(&c, x, to, first, last);
}

MLS_DEF mls_status mls_quantize(mls_tensor *t, const float *x, uint64_t seed)
{
    mls_status status;
    size_t elements;
    int64_t n, blocks;
    enum {
        MLS__BLOCK = 1 << 14
    }; /* elements a thread takes at a time: 64 KiB, well inside L2 */
    if (!t || !x || !t->peak || !t->group || !t->code) return MLS_ERROR_ARGUMENT;
    if (mls_format_check(t->format) != MLS_OK) return MLS_ERROR_FORMAT;
    elements = mls__elements(t->shape);
    if (!elements) return MLS_ERROR_SHAPE;
    n = t->shape.n;
    blocks = (int64_t)((elements + MLS__BLOCK - 1) / MLS__BLOCK);
    if (!mls__floats_good(blocks > 1 ? MLS__THREADS() : 1)) return MLS_ERROR_FLOATS;
    MLS__OMP(omp parallel for schedule(static) if (blocks > 1))
    for (int64_t i = 0; i < n; i++) mls__quantize_peaks(t, x, (size_t)i, (size_t)i + 1);
    status = mls__quantize_scales(t);
    if (status != MLS_OK) return status;
    MLS__OMP(omp parallel for schedule(static) if (blocks > 1))
    for (int64_t b = 0; b < blocks; b++) {
        size_t first = (size_t)b * MLS__BLOCK;
        size_t last = elements - first < MLS__BLOCK ? elements : first + MLS__BLOCK;
        mls__quantize_codes(t, x, seed, first, last);
    }
    return MLS_OK;
}

/* Value of one element code in a group with scale code g. */
MLS__INLINE float mls__decode(const mls_tensor *t, uint32_t code, uint32_t g)
{
    mls_format f = t->format;
    float xbar = (float)mls__grid_signed(f, code) * mls__pow2(mls__lsb(f));
    float y = xbar * mls__group_fraction(f, g & f.mg); /* exact */
    return (y * t->scale) * mls__pow2(-(int)(g >> f.mg));
}

/* Elements first .. last - 1. */
static void mls__dequantize_range(const mls_tensor *t, float *x, size_t first, size_t last)
{
    size_t image = mls__image(t->shape), c = (size_t)t->shape.c;
    size_t step_n = mls__group_step_n(t->format, t->shape), step_c = mls__group_step_c(t->format);
    int bits = mls_format_bits(t->format);
    for (size_t i = first; i < last; i++) {
        uint32_t g = t->group[i / image * step_n + i % c * step_c];
        x[i] = mls__decode(t, mls__code_get(t->code, bits, i), g);
    }
}

MLS_DEF mls_status mls_dequantize(const mls_tensor *t, float *x)
{
    if (!t || !x || !t->group || !t->code) return MLS_ERROR_ARGUMENT;
    if (mls_format_check(t->format) != MLS_OK) return MLS_ERROR_FORMAT;
    if (!mls__elements(t->shape)) return MLS_ERROR_SHAPE;
    if (!mls__floats_here()) return MLS_ERROR_FLOATS;
    mls__dequantize_range(t, x, 0, mls__elements(t->shape));
    return MLS_OK;
}

/* -------------------------------------------------------------------------------- >>measure */

/* log10 by the series of atanh; good to 1e-12 for a report. */
static double mls__log10(double x)
{
    const double ln2 = 0.69314718055994530942;
    double t, t2, power, sum = 0, rest = 0;
    for (; x > 1.5; x /= 2) rest += ln2;
    for (; x < 0.75; x *= 2) rest -= ln2;
    t = (x - 1) / (x + 1), t2 = t * t, power = t;
    for (int i = 1; i < 30; i += 2) {
        double term = power / i;
        sum = sum + term;
        power = power * t2;
    }
    return (2 * sum + rest) / 2.30258509299404568402;
}

MLS_DEF mls_status mls_measure(const mls_tensor *t, const float *x, mls_report *report)
{
    size_t elements, image, c, step_n, step_c, groups, nonzero = 0, clipped = 0, flushed = 0;
    size_t dead = 0;
    double relative = 0, signal = 0, noise = 0;
    uint32_t top;
    int bits;
    if (!t || !x || !report || !t->group || !t->code) return MLS_ERROR_ARGUMENT;
    if (mls_format_check(t->format) != MLS_OK) return MLS_ERROR_FORMAT;
    elements = mls__elements(t->shape);
    if (!elements) return MLS_ERROR_SHAPE;
    if (!mls__floats_here()) return MLS_ERROR_FLOATS;
    for (size_t i = 0; i < elements; i++) {
        if ((mls__bits(x[i]) & 0x7fffffffu) >= 0x7f800000u) return MLS_ERROR_NONFINITE;
    }
    image = mls__image(t->shape), c = (size_t)t->shape.c;
    step_n = mls__group_step_n(t->format, t->shape), step_c = mls__group_step_c(t->format);
    groups = mls_group_count(t->format, t->shape);
    bits = mls_format_bits(t->format);
    top = (uint32_t)mls__code_max(t->format);
    for (size_t i = 0; i < elements; i++) {
        uint32_t g = t->group[i / image * step_n + i % c * step_c];
        float q = mls__decode(t, mls__code_get(t->code, bits, i), g);
        double d = (double)q - (double)x[i], size = x[i] < 0 ? -(double)x[i] : (double)x[i];
        /* the square stays exact and finite */
        float error = !(d > 3.4e38 || d < -3.4e38) ? (float)(d < 0 ? -d : d) : 3.4e38f;
        if (size > 0) relative += (double)error / size, nonzero++;
        if (size > 0 && q == 0) flushed++;
        /* the scales are rounded: a quarter of an ulp is not beyond */
        if (size > (double)mls__decode(t, top, g) * (1 + 1.0 / (1 << 22))) clipped++;
        signal += size * size; /* products of floats are exact in double */
        noise += (double)error * (double)error;
    }
    for (size_t g = 0; g < groups; g++) {
        size_t n0 = step_n ? (step_c ? g / c : g) : 0, n1 = step_n ? n0 + 1 : (size_t)t->shape.n;
        size_t c0 = step_c ? g % c : 0, c1 = step_c ? c0 + 1 : c;
        int zero = 1;
        for (size_t n = n0; n < n1 && zero; n++) {
            for (size_t p = 0; p < image / c && zero; p++) {
                for (size_t ch = c0; ch < c1 && zero; ch++) {
                    zero = x[n * image + p * c + ch] == 0;
                }
            }
        }
        dead += (size_t)zero;
    }
    report->relative_error = nonzero ? relative / (double)nonzero : 0;
    report->snr_db = noise > 0 && signal > 0 ? 10 * mls__log10(signal / noise)
                     : noise > 0             ? -999
                                             : 999;
    report->clipped = (double)clipped / (double)elements;
    report->flushed = (double)flushed / (double)elements;
    report->zero_groups = (double)dead / (double)groups;
    return MLS_OK;
}

#endif /* MLS__IMPLEMENTED */
#endif /* MLS_IMPLEMENTATION */

/* ----------------------------------------------------------------------------------- >>each
   Includes the file that MLS__EACH names once for every vector unit, with MLS__UNIT as its number of
   those in >>units. Units that only bring other dot products are left out unless MLS__EACH_DOT is
   defined. */
#elif !defined(MLS__UNIT)

#define MLS__CAT_(a, b)    a##b
#define MLS__CAT(a, b)     MLS__CAT_(a, b)

/* Of each unit, by its number: the suffix of its functions, the 32-bit lanes of its vectors, the
   attribute that lets the compiler use it, the suffix of the unit whose vectors it has. */
/* clang-format off */
#define MLS__TARGET_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))
#define MLS__UNIT_0(X) X(_scalar, 1, , _scalar)
#define MLS__UNIT_1(X) X(_sse41, 4, __attribute__((target("sse4.1"))), _sse41)
#define MLS__UNIT_2(X) X(_avx2, 8, __attribute__((target("avx2,fma"))), _avx2)
#define MLS__UNIT_3(X) X(_avxvnni, 8, __attribute__((target("avx2,fma,avxvnni"))), _avx2)
#define MLS__UNIT_4(X) X(_avx512vnni, 16, MLS__TARGET_AVX512, _avx512vnni)
#define MLS__UNIT_5(X) X(_amx, 16, MLS__TARGET_AVX512, _avx512vnni) /* tiles are inline assembly */
#define MLS__UNIT_6(X) X(_neon, 4, , _neon)
#define MLS__UNIT_7(X) X(_dotprod, 4, MLS__TARGET_DOTPROD, _neon)
#define MLS__SUFFIX_OF(suffix, lanes, target, vectors)  suffix
#define MLS__LANES_OF(suffix, lanes, target, vectors)   lanes
#define MLS__TARGET_OF(suffix, lanes, target, vectors)  target
#define MLS__VECTORS_OF(suffix, lanes, target, vectors) vectors
/* clang-format on */

/* The same of the unit at hand, and its names: MLS__FN(f) is f_avxvnni and so on, and MLS__VECTORS(f)
   then f_avx2, which needs no dot product. */
#define MLS__SUFFIX        MLS__CAT(MLS__UNIT_, MLS__UNIT)(MLS__SUFFIX_OF)
#define MLS__LANES         MLS__CAT(MLS__UNIT_, MLS__UNIT)(MLS__LANES_OF)
#define MLS__TARGET        MLS__CAT(MLS__UNIT_, MLS__UNIT)(MLS__TARGET_OF)
#define MLS__FN(name)      MLS__CAT(name, MLS__SUFFIX)
#define MLS__VECTORS(name) MLS__CAT(name, MLS__CAT(MLS__UNIT_, MLS__UNIT)(MLS__VECTORS_OF))
#define MLS__F             MLS__FN(mls__f)
#define MLS__I             MLS__FN(mls__i)
#define MLS__LOAD          MLS__FN(mls__load)
#define MLS__LOAD_N        MLS__FN(mls__load_n)
#define MLS__STORE         MLS__FN(mls__store)
#define MLS__STORE_N       MLS__FN(mls__store_n)
#define MLS__SET           MLS__FN(mls__set)
#define MLS__SETI          MLS__FN(mls__seti)
#define MLS__FMA           MLS__FN(mls__fmav)
#define MLS__MAXI          MLS__FN(mls__maxi)
#define MLS__MINI          MLS__FN(mls__mini)
#define MLS__BITS          MLS__FN(mls__bitsv)
#define MLS__FLOAT         MLS__FN(mls__floatv)
#define MLS__WHERE         MLS__FN(mls__where)
#define MLS__TO_INT        MLS__FN(mls__to_int)
#define MLS__TO_FLOAT      MLS__FN(mls__to_float)

#define MLS__UNIT MLS__ISA_SCALAR
#include MLS__EACH
#undef MLS__UNIT
#if MLS__X86
#define MLS__UNIT MLS__ISA_SSE41
#include MLS__EACH
#undef MLS__UNIT
#define MLS__UNIT MLS__ISA_AVX2
#include MLS__EACH
#undef MLS__UNIT
#if MLS__HAS_AVXVNNI && defined(MLS__EACH_DOT)
#define MLS__UNIT MLS__ISA_AVXVNNI
#include MLS__EACH
#undef MLS__UNIT
#endif
#define MLS__UNIT MLS__ISA_AVX512VNNI
#include MLS__EACH
#undef MLS__UNIT
#if MLS__HAS_AMX && defined(MLS__EACH_DOT)
#define MLS__UNIT MLS__ISA_AMX
#include MLS__EACH
#undef MLS__UNIT
#endif
#endif
#if MLS__NEON && (defined(__aarch64__) || defined(MLS__EACH_DOT))
#define MLS__UNIT MLS__ISA_NEON
#include MLS__EACH
#undef MLS__UNIT
#endif
#if defined(MLS__TARGET_DOTPROD) && defined(MLS__EACH_DOT)
#define MLS__UNIT MLS__ISA_DOTPROD
#include MLS__EACH
#undef MLS__UNIT
#endif

#undef MLS__CAT_
#undef MLS__CAT
#undef MLS__TARGET_AVX512
#undef MLS__UNIT_0
#undef MLS__UNIT_1
#undef MLS__UNIT_2
#undef MLS__UNIT_3
#undef MLS__UNIT_4
#undef MLS__UNIT_5
#undef MLS__UNIT_6
#undef MLS__UNIT_7
#undef MLS__SUFFIX_OF
#undef MLS__LANES_OF
#undef MLS__TARGET_OF
#undef MLS__SUFFIX
#undef MLS__LANES
#undef MLS__TARGET
#undef MLS__VECTORS_OF
#undef MLS__FN
#undef MLS__VECTORS
#undef MLS__F
#undef MLS__I
#undef MLS__LOAD
#undef MLS__LOAD_N
#undef MLS__STORE
#undef MLS__STORE_N
#undef MLS__SET
#undef MLS__SETI
#undef MLS__FMA
#undef MLS__MAXI
#undef MLS__MINI
#undef MLS__BITS
#undef MLS__FLOAT
#undef MLS__WHERE
#undef MLS__TO_INT
#undef MLS__TO_FLOAT

/* ------------------------------------------------------------------------------- >>template
   Vectors of MLS__LANES floats or ints, and the quantizer on them. The operators + - * & | ^ <<
   >> work on them as on scalars, except comparisons: those are in MLS__WHERE. On 32-bit ARM vectors
   of floats are for loads, stores and MLS__FMA only. */
#else
#ifdef MLS__EACH_DOT

#if MLS__LANES > 1
typedef float MLS__F __attribute__((vector_size(4 * MLS__LANES)));
typedef int32_t MLS__I __attribute__((vector_size(4 * MLS__LANES)));
#else
typedef float MLS__F;
typedef int32_t MLS__I;
#endif

MLS__INLINE MLS__TARGET MLS__F MLS__LOAD(const void *p)
{
    MLS__F v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The first n lanes; the others are 0. */
MLS__INLINE MLS__TARGET MLS__F MLS__LOAD_N(const void *p, size_t n)
{
    float v[MLS__LANES] = {0};
    memcpy(v, p, n * sizeof(float));
    return MLS__LOAD(v);
}

MLS__INLINE MLS__TARGET void MLS__STORE(void *p, MLS__F v)
{
    memcpy(p, &v, sizeof v);
}

MLS__INLINE MLS__TARGET void MLS__STORE_N(void *p, MLS__F v, size_t n)
{
    memcpy(p, &v, n * sizeof(float));
}

MLS__INLINE MLS__TARGET MLS__F MLS__SET(float x)
{
#if MLS__LANES > 1
    MLS__F zero = {0};
    return x - zero; /* x - 0 is x, also for -0 */
#else
    return x;
#endif
}

MLS__INLINE MLS__TARGET MLS__I MLS__SETI(int32_t x)
{
#if MLS__LANES > 1
    MLS__I zero = {0};
    return x + zero;
#else
    return x;
#endif
}

MLS__INLINE MLS__TARGET MLS__I MLS__BITS(MLS__F x)
{
    MLS__I v;
    memcpy(&v, &x, sizeof v);
    return v;
}

MLS__INLINE MLS__TARGET MLS__F MLS__FLOAT(MLS__I x)
{
    MLS__F v;
    memcpy(&v, &x, sizeof v);
    return v;
}

/* if_yes where a > b as integers, else if_no. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__where_above)(MLS__I a, MLS__I b, MLS__I if_yes,
                                                         MLS__I if_no)
{
#if MLS__LANES > 1
    MLS__I yes = a > b;
    return (if_yes & yes) | (if_no & ~yes);
#else
    return a > b ? if_yes : if_no;
#endif
}

/* if_yes where condition > 0 as an integer, else if_no. */
MLS__INLINE MLS__TARGET MLS__I MLS__WHERE(MLS__I condition, MLS__I if_yes, MLS__I if_no)
{
    return MLS__FN(mls__where_above)(condition, MLS__SETI(0), if_yes, if_no);
}

/* Truncates. */
MLS__INLINE MLS__TARGET MLS__I MLS__TO_INT(MLS__F x)
{
#if MLS__LANES > 1
    return __builtin_convertvector(x, MLS__I);
#else
    return (MLS__I)x;
#endif
}

/* Nearest even. */
MLS__INLINE MLS__TARGET MLS__F MLS__TO_FLOAT(MLS__I x)
{
#if MLS__LANES > 1
    return __builtin_convertvector(x, MLS__F);
#else
    return (MLS__F)x;
#endif
}

MLS__INLINE MLS__TARGET MLS__F MLS__FMA(MLS__F a, MLS__F b, MLS__F c)
{
#if MLS__LANES == 16
    return (MLS__F)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif MLS__LANES == 8
    return (MLS__F)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif MLS__LANES > 1 && MLS__NEON && defined(__aarch64__)
    return (MLS__F)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif MLS__LANES > 1
    MLS__F r;
    for (int i = 0; i < MLS__LANES; i++) r[i] = mls__fma(a[i], b[i], c[i]);
    return r;
#else
    return mls__fma(a, b, c);
#endif
}

MLS__INLINE MLS__TARGET MLS__I MLS__MAXI(MLS__I a, MLS__I b)
{
#if MLS__LANES == 16
    return (MLS__I)_mm512_maskz_max_epi32(MLS__ALL16, (__m512i)a, (__m512i)b);
#elif MLS__LANES == 8
    return (MLS__I)_mm256_max_epi32((__m256i)a, (__m256i)b);
#elif MLS__UNIT == MLS__ISA_SSE41
    return (MLS__I)_mm_max_epi32((__m128i)a, (__m128i)b);
#elif MLS__LANES == 4
    return (MLS__I)vmaxq_s32((int32x4_t)a, (int32x4_t)b);
#else
    return a > b ? a : b;
#endif
}

MLS__INLINE MLS__TARGET MLS__I MLS__MINI(MLS__I a, MLS__I b)
{
#if MLS__LANES == 16
    return (MLS__I)_mm512_maskz_min_epi32(MLS__ALL16, (__m512i)a, (__m512i)b);
#elif MLS__LANES == 8
    return (MLS__I)_mm256_min_epi32((__m256i)a, (__m256i)b);
#elif MLS__UNIT == MLS__ISA_SSE41
    return (MLS__I)_mm_min_epi32((__m128i)a, (__m128i)b);
#elif MLS__LANES == 4
    return (MLS__I)vminq_s32((int32x4_t)a, (int32x4_t)b);
#else
    return a < b ? a : b;
#endif
}

#if MLS__LANES > 1
typedef uint16_t MLS__FN(mls__u16) __attribute__((vector_size(2 * MLS__LANES)));
typedef uint8_t MLS__FN(mls__u8) __attribute__((vector_size(MLS__LANES)));
typedef uint32_t MLS__FN(mls__u32) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint64_t MLS__FN(mls__u64) __attribute__((vector_size(4 * MLS__LANES)));
#endif

#elif MLS__LANES > 1 /* the scalar quantizer is the reference */

/* mls__peaks_scalar, for no fewer channels than lanes. */
static MLS__TARGET void MLS__FN(mls__peaks_wide)(const float *x, size_t pixels, size_t channels,
                                                 float *peak)
{
    MLS__I magnitude = MLS__SETI(0x7fffffff);
    /* 1 KiB at a time: longer strides are more than the prefetchers of most CPUs follow. */
    size_t block = channels < 256 ? 256 / channels : 1;
    memset(peak, 0, channels * sizeof *peak);
    for (size_t p0 = 0; p0 < pixels; p0 += block) {
        size_t p1 = pixels - p0 < block ? pixels : p0 + block;
        for (size_t c0 = 0; c0 < channels; c0 += MLS__LANES) {
            /* the last vector may begin inside of the one before */
            size_t at = channels - c0 < MLS__LANES ? channels - MLS__LANES : c0;
            MLS__I most = MLS__BITS(MLS__LOAD(peak + at));
            for (size_t p = p0; p < p1; p++) {
                MLS__F v = MLS__LOAD(x + p * channels + at);
                most = MLS__MAXI(most, MLS__BITS(v) & magnitude);
            }
            MLS__STORE(peak + at, MLS__FLOAT(most));
        }
    }
}

static MLS__TARGET void MLS__FN(mls__peaks)(const float *x, size_t pixels, size_t channels,
                                            float *peak)
{
    if (channels < MLS__LANES) {
        /* so many pixels count as one, of more channels, until few of them are left */
        size_t wide = channels * MLS__LANES, rows = pixels / MLS__LANES, rest = pixels % MLS__LANES;
        float few[2 * MLS__LANES * MLS__LANES];
        MLS__FN(mls__peaks_wide)(x, rows, wide, few);
        memcpy(few + wide, x + rows * wide, rest * channels * sizeof *few);
        mls__peaks_scalar(few, MLS__LANES + rest, channels, peak);
    } else {
        MLS__FN(mls__peaks_wide)(x, pixels, channels, peak);
    }
}

/* Neighbours stand in the same lane of two vectors: they share a word of random bits, and become
   neighbours again in a lane of codes or integers. */
enum {
    MLS__FN(mls__step) = 2 * MLS__LANES
};

MLS__INLINE MLS__TARGET void MLS__FN(mls__load_pairs)(const float *x, MLS__F v[2])
{
    MLS__F a = MLS__LOAD(x), b = MLS__LOAD(x + MLS__LANES);
#if MLS__LANES == 16
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd =
        _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    v[0] = (MLS__F)_mm512_permutex2var_ps((__m512)a, even, (__m512)b);
    v[1] = (MLS__F)_mm512_permutex2var_ps((__m512)a, odd, (__m512)b);
#elif MLS__LANES == 8
    __m256d even = (__m256d)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x88);
    __m256d odd = (__m256d)_mm256_shuffle_ps((__m256)a, (__m256)b, 0xdd);
    v[0] = (MLS__F)_mm256_permute4x64_pd(even, 0xd8);
    v[1] = (MLS__F)_mm256_permute4x64_pd(odd, 0xd8);
#elif MLS__X86
    v[0] = (MLS__F)_mm_shuffle_ps((__m128)a, (__m128)b, 0x88);
    v[1] = (MLS__F)_mm_shuffle_ps((__m128)a, (__m128)b, 0xdd);
#else
    float32x4x2_t pairs = vuzpq_f32((float32x4_t)a, (float32x4_t)b);
    v[0] = (MLS__F)pairs.val[0], v[1] = (MLS__F)pairs.val[1];
#endif
}

/* Elements in a row, a multiple of mls__step, and their scales in the order of mls__load_pairs. */
typedef struct MLS__FN(mls__stretch) {
    mls__keys keys;
    uint32_t pair; /* half the index of the first element */
    size_t steps;
    size_t period; /* steps after which the scales repeat */
    MLS__F up[MLS__WINDOW / MLS__LANES], r[MLS__WINDOW / MLS__LANES]; /* y = |x| * up * r */
    MLS__I factor[MLS__WINDOW / MLS__LANES];                          /* of integers: fp32's bits */
} MLS__FN(mls__stretch);

/* Scales of a period from the codes of its groups. */
static MLS__TARGET void MLS__FN(mls__scales)(MLS__FN(mls__stretch) * s, const mls__coder *c,
                                             const uint16_t *group)
{
    int mg = c->format.mg;
    MLS__I r0 = MLS__SETI((int32_t)mls__bits(c->r[0])), r1 = MLS__SETI((int32_t)mls__bits(c->r[1]));
    for (size_t j = 0; j < 2 * s->period; j++) {
        MLS__I g, k, m, factor;
        memcpy(&g, group + j / 2 * MLS__FN(mls__step), sizeof g);
        g = (j % 2 ? g >> 16 : g) & 0xffff;
        k = g >> mg, m = g & mg;
        factor = (m + MLS__SETI(1 << mg)) << MLS__MAXI(MLS__SETI(c->fold) - k, MLS__SETI(0));
        s->up[j] = MLS__FLOAT((k + 127) << 23);
        s->r[j] = MLS__FLOAT(MLS__WHERE(m, r1, r0));
        s->factor[j] = MLS__BITS(MLS__TO_FLOAT(factor));
    }
}

/* Stores the lowest 2 * width bits of every lane. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__store_pairs)(uint8_t *to, MLS__FN(mls__u32) v, int width)
{
    if (width == 4) {
#if MLS__LANES == 16
        __m128i bytes = _mm512_maskz_cvtepi32_epi8(MLS__ALL16, (__m512i)v);
#else
        MLS__FN(mls__u8) bytes = __builtin_convertvector(v, MLS__FN(mls__u8));
#endif
        memcpy(to, &bytes, sizeof bytes);
    } else if (width == 8) {
#if MLS__LANES == 16
        __m256i words = _mm512_maskz_cvtepi32_epi16(MLS__ALL16, (__m512i)v);
#else
        MLS__FN(mls__u16) words = __builtin_convertvector(v, MLS__FN(mls__u16));
#endif
        memcpy(to, &words, sizeof words);
    } else {
        memcpy(to, &v, sizeof v); /* these machines are little-endian */
    }
}

/* rounding and integers are constants here, so that the loop holds no branches. What it reads is
   local, or the compiler would read it again after every store. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__encode_as)(const mls__coder *c,
                                                     const MLS__FN(mls__stretch) * s,
                                                     const float *x, uint8_t *to, int rounding,
                                                     int integers)
{
    int mx = c->format.mx, bits = 1 + c->format.ex + mx, width = mls__width(c);
    uint32_t mask = ((uint32_t)1 << width) - 1, flip = (uint32_t)c->flip & mask;
    uint32_t top = (uint32_t)1 << (bits - 1), largest = top - 1;
    uint32_t a = s->keys.a, b = s->keys.b;
    /* the exponent of the smallest normal number; without exponents none is */
    int32_t normal = c->format.ex ? (127 + mx) << 23 : 0x7f800000;
    int32_t q_max = (int32_t)mls__bits(c->q_max);
    size_t steps = s->steps, wrap = 2 * s->period;
    MLS__FN(mls__u32) pair;
    for (int i = 0; i < MLS__LANES; i++) pair[i] = s->pair + (uint32_t)i;
    flip = flip | flip << width, largest = largest | largest << width;
    for (size_t i = 0, j = 0; i < steps; i++) {
        MLS__FN(mls__u32) random, code, sign;
        MLS__I value[2];
        MLS__F xv[2];
        MLS__FN(mls__load_pairs)(x, xv);
        /* mls__random32 */
        random = pair ^ a;
        random = (random ^ random >> 16) * 0x7feb352du;
        random = ((random ^ random >> 15) + b) * 0x846ca68bu;
        random = random ^ random >> 16;
        MLS__UNROLL
        for (int odd = 0; odd < 2; odd++, j++) {
            MLS__I v, last, s23; /* log2 of the step at y, as an exponent of fp32 */
            /* y = min((|x| * 2^k) * r, q_max) */
            MLS__F y = MLS__FLOAT(MLS__BITS(xv[odd]) & 0x7fffffff) * s->up[j];
            y = y * s->r[j];
            y = MLS__FLOAT(MLS__MINI(MLS__BITS(y), MLS__SETI(q_max)));
            s23 = MLS__MAXI((MLS__BITS(y) & 0x7f800000) - normal, MLS__SETI(0));
            if (rounding == MLS_ROUND_NEAREST) {
                MLS__F big = MLS__SET(12582912.0f);
                v = MLS__BITS(y * MLS__FLOAT((127 << 23) - s23) + big) - MLS__BITS(big);
            } else {
                v = MLS__TO_INT(y * MLS__FLOAT(((127 + 16) << 23) - s23));
                last = v >> 16 | MLS__SETI((1 << mx) - 1); /* of y's binade */
                v = (v + (MLS__I)(odd ? random >> 16 : random & 0xffffu)) >> 16;
                if (rounding == MLS_ROUND_STOCHASTIC_CLIPPED) v = MLS__MINI(v, last);
            }
            if (integers) {
                MLS__I negative = MLS__BITS(xv[odd]) & (int32_t)0x80000000u;
                MLS__F factor = MLS__FLOAT((s->factor[j] + s23) | negative);
                value[odd] = MLS__TO_INT(MLS__TO_FLOAT(v) * factor);
            } else {
                value[odd] = v + (s23 >> (23 - mx));
            }
        }
        code = ((MLS__FN(mls__u32))value[0] & mask) | (MLS__FN(mls__u32))value[1] << width;
        if (integers) {
            code = code ^ flip;
        } else {
            /* no sign for zero: the others reach its place when the largest is added */
            sign = ((MLS__FN(mls__u32))xv[0] >> (32 - bits) & top) |
                   ((MLS__FN(mls__u32))xv[1] >> (32 - bits - width) & top << width);
            code = code | ((code + largest) & sign);
        }
        MLS__FN(mls__store_pairs)(to, code, width);
        pair = pair + MLS__LANES;
        x += MLS__FN(mls__step), to += MLS__LANES / 4 * width;
        if (j == wrap) j = 0;
    }
}

static MLS__TARGET void MLS__FN(mls__encode_stretch)(const mls__coder *c,
                                                     const MLS__FN(mls__stretch) * s,
                                                     const float *x, uint8_t *to)
{
    int rounding = c->format.rounding, integers = c->size != 0;
    if (rounding == MLS_ROUND_NEAREST) {
        if (integers)
            MLS__FN(mls__encode_as)(c, s, x, to, MLS_ROUND_NEAREST, 1);
        else
            MLS__FN(mls__encode_as)(c, s, x, to, MLS_ROUND_NEAREST, 0);
    } else if (rounding == MLS_ROUND_STOCHASTIC) {
        if (integers)
            MLS__FN(mls__encode_as)(c, s, x, to, MLS_ROUND_STOCHASTIC, 1);
        else
            MLS__FN(mls__encode_as)(c, s, x, to, MLS_ROUND_STOCHASTIC, 0);
    } else {
        if (integers)
            MLS__FN(mls__encode_as)(c, s, x, to, MLS_ROUND_STOCHASTIC_CLIPPED, 1);
        else
            MLS__FN(mls__encode_as)(c, s, x, to, MLS_ROUND_STOCHASTIC_CLIPPED, 0);
    }
}

static MLS__TARGET void MLS__FN(mls__encode_range)(const mls__coder *c, const float *x,
                                                   uint8_t *code, size_t first, size_t last)
{
    enum {
        MLS__STEP = MLS__FN(mls__step)
    };
    size_t image = mls__image(c->shape), channels = (size_t)c->shape.c, period = channels;
    size_t width = (size_t)mls__width(c);
    uint8_t *to = c->size ? code : code + first / 8 * width, tail[2 * MLS__STEP];
    uint16_t group[MLS__WINDOW];
    float padded[MLS__STEP];
    MLS__FN(mls__stretch) s;
    s.keys = mls__random_keys(c->seed, (uint64_t)first >> 33);
    while (period % MLS__STEP) period += channels;
    if (!mls__group_step_c(c->format)) period = MLS__STEP;
    for (size_t i = first; i < last; i += s.steps * MLS__STEP) {
        size_t left = last - i, here = image - i % image, known;
        if (here > left) here = left;
        if (period <= MLS__WINDOW && 2 * period <= here) {
            known = period, s.steps = here / MLS__STEP; /* to the end of the image */
        } else {
            known = left < MLS__WINDOW ? left : MLS__WINDOW, s.steps = known / MLS__STEP;
        }
        s.pair = (uint32_t)(i / 2), s.period = known / MLS__STEP;
        if (known < MLS__STEP) memset(group, 0, sizeof group), s.steps = s.period = 1;
        mls__groups(c, i, known, group);
        MLS__FN(mls__scales)(&s, c, group);
        if (known < MLS__STEP) {
            memset(padded, 0, sizeof padded);
            memcpy(padded, x + i, left * sizeof *x);
            MLS__FN(mls__encode_stretch)(c, &s, padded, tail);
            memcpy(to, tail, (left * width + 7) / 8);
        } else {
            MLS__FN(mls__encode_stretch)(c, &s, x + i, to);
        }
        to += s.steps * MLS__STEP / 8 * width;
    }
}
#endif

#endif /* template */
