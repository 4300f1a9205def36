/* mls_conv.h - v0.1.0 - exact integer convolutions of MLS tensors - MIT licence

   DO THIS in exactly one C or C++ file:

       #define MLS_IMPLEMENTATION
       #include "mls_conv.h"          (it includes mls.h)

   WHAT IT DOES
       The three convolutions of training, on packed low-bit operands, without a rounding before
       the last step ("Exploring the Potential of Low-bit Training of CNNs", Eq. 6 to 8):

           forward          Z[n][y][x][co]    = sum over ky, kx, ci of W * A
           backward-data    dA[n][y][x][ci]   = sum over ky, kx, co of W * E
           backward-weight  G[co][ky][kx][ci] = sum over n, y, x    of E * A

       Terms that share both group scales form a pair g; P_g is their plain integer sum, and

           acc = sum over g of shift(P_g * (2^mg_w + m_w) * (2^mg_a + m_a), F - k_w - k_a)
           Z   = fl(fl(acc) * fl(S_t_w * S_t_a)) * 2^(lsb_w + lsb_a - mg_w - mg_a - F)

       with F = min(30, K_w + K_a), K the largest k of each format; shift is to the left, or
       arithmetic to the right. Nothing is rounded before fl(acc): the order of summation cannot
       matter, and all kernels, thread counts and machines agree bit for bit.

   EXAMPLE
       mls_conv conv = {{1, 8, 8, 16}, 32, 3, 3, 1, 1};     input, c_out, kh, kw, stride, pad
       size_t size = mls_conv_workspace(&conv, weight.format, input.format);
       ...
       mls_conv_forward(&conv, &weight, &input, output, workspace, size);

   HOW IT IS FAST
       Multiplying by a power of two is exact, so group scales are folded into the elements:
       w' = sign * q * (2^mg + m) * 2^(K-k), K the largest k in use. Where that fits 8 or 16 bits,
       one micro-kernel body (>>template) sums plain integers with the CPU's dot products; formats
       that do not fit go group by group through 64 bits (>>wide), the few that need more through
       the reference. The fp32 convolution runs through the same body, one float where four int8
       stand.

   MEMORY AND THREADS
       Nothing is allocated: the workspace is the caller's, any alignment, not shared by calls that
       run at the same time. With OpenMP the images of a batch are shared out to threads.

   SECTIONS (search for ">>name")
       >>api  >>check  >>reference  >>classes  >>pack  >>run  >>wide  >>public  >>template
*/
#if !defined(MLS__UNIT)

/* ------------------------------------------------------------------------------------ >>api */
#ifdef MLS_HEADER
#include MLS_HEADER
#else
#include "mls.h"
#endif

#ifndef MLS_CONV_H_INCLUDED
#define MLS_CONV_H_INCLUDED

#if MLS_VERSION_MAJOR != 0 || MLS_VERSION_MINOR != 1
#error "mls_conv.h 0.1 needs mls.h 0.1"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A convolution: in is the input [n][h][w][c_in]; the weights are [c_out][kh][kw][c_in]. */
typedef struct mls_conv {
    mls_shape in;
    int32_t c_out, kh, kw;
    int32_t stride; /* both directions; 0 means 1 */
    int32_t pad;    /* zeros on every side */
} mls_conv;

/* Shape of the output, h = (in.h + 2 pad - kh) / stride + 1; all zero if the convolution is bad. */
MLS_DEF mls_shape mls_conv_output(const mls_conv *conv);

typedef enum {
    MLS_FORWARD,
    MLS_BACKWARD_DATA,
    MLS_BACKWARD_WEIGHT
} mls_direction;

/* Whether the sums of this shape and these formats fit the widest accumulator (127 bits; 63 where
   the compiler has no 128-bit integer). first is the weights' format, in MLS_BACKWARD_WEIGHT the
   error's. On MLS_ERROR_RANGE text, if not null, says which bound failed. */
MLS_DEF mls_status mls_conv_check(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, char *text, size_t size);

/* Bytes of workspace that any of the three convolutions needs with these formats (all-zero formats:
   the fp32 convolutions) and the current number of OpenMP threads; 0 for a bad argument. With less
   (mls_conv_workspace for one thread is the least) fewer threads are used. */
MLS_DEF size_t mls_conv_workspace(const mls_conv *conv, mls_format weight, mls_format data);

/* Z = W * A. weight [c_out][kh][kw][c_in], input as conv->in, output as mls_conv_output.
   The scalar kernel does not touch the workspace.
   Errors of all three: ARGUMENT, SHAPE (a tensor does not match conv), FORMAT (also a group code
   with S_g > 1 or k too large), RANGE (see mls_conv_check), NONFINITE (the product of the scales overflows), MEMORY (workspace too small).
   On an error the output is untouched. */
MLS_DEF mls_status mls_conv_forward(const mls_conv *conv, const mls_tensor *weight,
                                    const mls_tensor *input, float *output, void *workspace,
                                    size_t size);

/* dA = W^T * E. error as mls_conv_output, dinput as conv->in. */
MLS_DEF mls_status mls_conv_backward_data(const mls_conv *conv, const mls_tensor *weight,
                                          const mls_tensor *error, float *dinput, void *workspace,
                                          size_t size);

/* G = E * A. dweight [c_out][kh][kw][c_in]. */
MLS_DEF mls_status mls_conv_backward_weight(const mls_conv *conv, const mls_tensor *error,
                                            const mls_tensor *input, float *dweight,
                                            void *workspace, size_t size);

/* The same three in fp32, for layers that stay unquantized. Each output is one chain of fused
   multiply-adds from +0 in a fixed order: forward ky, kx, ci; backward-data ky and kx downwards,
   co; backward-weight the images of a block, y, x (n is cut into min(n, 8) blocks), and then the
   blocks are added in order. Taps in the padding multiply zeros. */
MLS_DEF mls_status mls_conv_forward_fp32(const mls_conv *conv, const float *weight,
                                         const float *input, float *output, void *workspace,
                                         size_t size);
MLS_DEF mls_status mls_conv_backward_data_fp32(const mls_conv *conv, const float *weight,
                                               const float *error, float *dinput, void *workspace,
                                               size_t size);
MLS_DEF mls_status mls_conv_backward_weight_fp32(const mls_conv *conv, const float *error,
                                                 const float *input, float *dweight,
                                                 void *workspace, size_t size);

/* Kernels that this build and CPU can run, from "scalar", the reference, to the best. The choice
   holds for all functions of the three headers; results never depend on it. */
MLS_DEF int mls_kernel_count(void);
MLS_DEF const char *mls_kernel_name(int index); /* null beyond the count */
/* "auto" is the best one and the default. MLS_ERROR_KERNEL: not here. Not while others compute. */
MLS_DEF mls_status mls_kernel_use(const char *name);
MLS_DEF const char *mls_kernel_used(void);

#ifdef __cplusplus
}
#endif
#endif /* MLS_CONV_H_INCLUDED */

#ifdef MLS_IMPLEMENTATION
#ifndef MLS__CONV_IMPLEMENTED
#define MLS__CONV_IMPLEMENTED

#ifndef MLS_CONV_HEADER
#define MLS_CONV_HEADER "mls_conv.h"
#endif
#if defined(_OPENMP) && !defined(MLS_NO_THREADS)
#include <omp.h>
#define MLS__THREADS() omp_get_max_threads()
#define MLS__THREAD()  omp_get_thread_num()
#else
#define MLS__THREADS() 1
#define MLS__THREAD()  0
#endif

#if defined(__SIZEOF_INT128__)
__extension__ typedef __int128 mls__wide;
enum {
    MLS__WIDE_BITS = 127
};
#else
typedef int64_t mls__wide;
enum {
    MLS__WIDE_BITS = 63
};
#endif

/* ---------------------------------------------------------------------------------- >>check */

/* conv with its defaults filled in. */
static mls_conv mls__conv_defaults(const mls_conv *conv)
{
    mls_conv c = *conv;
    if (c.stride == 0) c.stride = 1;
    return c;
}

MLS_DEF mls_shape mls_conv_output(const mls_conv *conv)
{
    mls_shape none = {0, 0, 0, 0}, out, kernel;
    size_t channels, padded;
    enum {
        MOST = 1 << 24
    }; /* of a side, so that no index of the padded image overflows */
    mls_conv c;
    if (!conv) return none;
    c = mls__conv_defaults(conv);
    kernel.n = c.c_out, kernel.h = c.kh, kernel.w = c.kw, kernel.c = c.in.c;
    if (!mls__elements(c.in) || !mls__elements(kernel) || c.stride < 1 || c.pad < 0) return none;
    if (c.in.h > MOST || c.in.w > MOST || c.kh > MOST || c.kw > MOST || c.pad > MOST ||
        c.stride > MOST) {
        return none;
    }
    /* A padded image, in either direction, of the widest elements must be addressable. */
    channels = (size_t)(c.in.c > c.c_out ? c.in.c : c.c_out);
    if (channels > INT32_MAX / 8 / (size_t)c.kw ||
        !mls__mul((size_t)(c.in.h + 2 * c.pad), (size_t)(c.in.w + 2 * c.pad), &padded) ||
        !mls__mul(padded, channels, &padded) || padded > SIZE_MAX / 256) {
        return none;
    }
    if (c.in.h + 2 * c.pad < c.kh || c.in.w + 2 * c.pad < c.kw) return none;
    out.n = c.in.n;
    out.h = (c.in.h + 2 * c.pad - c.kh) / c.stride + 1;
    out.w = (c.in.w + 2 * c.pad - c.kw) / c.stride + 1;
    out.c = c.c_out;
    return mls__elements(out) ? out : none;
}

static mls_shape mls__weight_shape(const mls_conv *c)
{
    mls_shape s = {c->c_out, c->kh, c->kw, c->in.c};
    return s;
}

/* Terms of one output. */
static uint64_t mls__terms(const mls_conv *c, mls_direction direction)
{
    mls_shape out = mls_conv_output(c);
    uint64_t taps = (uint64_t)c->kh * (uint64_t)c->kw;
    if (direction == MLS_FORWARD) return taps * (uint64_t)c->in.c;
    if (direction == MLS_BACKWARD_DATA) return taps * (uint64_t)c->c_out;
    return (uint64_t)out.n * (uint64_t)out.h * (uint64_t)out.w;
}

/* Bits of the magnitude of q_1 * q_2 * terms * 2^extra, rounded up. */
static int mls__sum_bits(mls_format f, mls_format g, uint64_t terms, int extra)
{
    uint64_t factor[3], product = 1;
    int bits = extra;
    factor[0] = (uint64_t)mls__grid(f, (uint32_t)mls__code_max(f));
    factor[1] = (uint64_t)mls__grid(g, (uint32_t)mls__code_max(g));
    factor[2] = terms;
    for (int i = 0; i < 3; i++) {
        uint64_t x = factor[i];
        while (x >> 31) x = (x >> 1) + (x & 1), bits++;
        product *= x;
        while (product >> 32) product = (product >> 1) + (product & 1), bits++;
    }
    while (product) product >>= 1, bits++;
    return bits;
}

/* F of the equation above. */
static int mls__fraction_bits(mls_format f, mls_format g)
{
    int bits = mls__k_max(f) + mls__k_max(g);
    return bits < 30 ? bits : 30;
}

/* Bits that acc needs without its sign: at least those of P_g times the fractions 3 * 3 < 2^4. */
static int mls__acc_bits(const mls_conv *c, mls_direction direction, mls_format f, mls_format g)
{
    int extra = mls__fraction_bits(f, g) + f.mg + g.mg, least = 2 * (f.mg + g.mg);
    return mls__sum_bits(f, g, mls__terms(c, direction), extra > least ? extra : least);
}

MLS_DEF mls_status mls_conv_check(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, char *text, size_t size)
{
    static const char *const names[] = {"forward", "backward-data", "backward-weight"};
    mls_conv c;
    int bits;
    if (text && size) text[0] = 0;
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT) return MLS_ERROR_ARGUMENT;
    c = mls__conv_defaults(conv);
    if (!mls_conv_output(&c).n) return MLS_ERROR_SHAPE;
    if (mls_format_check(first) != MLS_OK || mls_format_check(second) != MLS_OK) {
        return MLS_ERROR_FORMAT;
    }
    bits = mls__acc_bits(&c, direction, first, second);
    if (bits <= MLS__WIDE_BITS) return MLS_OK;
    mls__say(text, size, names[direction]);
    mls__say(text, size, ": ");
    mls__say_int(text, size, (int64_t)mls__terms(&c, direction));
    mls__say(text, size, " products of up to ");
    mls__say_int(text, size, mls__grid(first, (uint32_t)mls__code_max(first)));
    mls__say(text, size, " x ");
    mls__say_int(text, size, mls__grid(second, (uint32_t)mls__code_max(second)));
    mls__say(text, size, " with ");
    mls__say_int(text, size, mls__fraction_bits(first, second));
    mls__say(text, size, " fraction bits need an accumulator of ");
    mls__say_int(text, size, bits);
    mls__say(text, size, " bits; the widest has ");
    mls__say_int(text, size, MLS__WIDE_BITS);
    return MLS_ERROR_RANGE;
}

/* ------------------------------------------------------------------------------ >>reference
   The specification: every output on its own, group pair by group pair; image n of the two that
   write images. */

/* The scaling of one call. */
typedef struct mls__scaling {
    int fraction; /* F */
    float tensor; /* fl(S_t * S_t) */
    float units;  /* 2^(lsb + lsb - mg - mg - F) */
} mls__scaling;

static mls__scaling mls__scaling_make(const mls_tensor *f, const mls_tensor *g)
{
    mls__scaling s;
    s.fraction = mls__fraction_bits(f->format, g->format);
    s.tensor = f->scale * g->scale;
    s.units = mls__pow2(mls__lsb(f->format) + mls__lsb(g->format) - f->format.mg - g->format.mg -
                        s.fraction);
    return s;
}

/* q with its sign, and the group code, of element (n, y, x, ch). */
static int64_t mls__q(const mls_tensor *t, int32_t n, int32_t y, int32_t x, int32_t ch)
{
    size_t i = (((size_t)n * (size_t)t->shape.h + (size_t)y) * (size_t)t->shape.w + (size_t)x) *
                   (size_t)t->shape.c +
               (size_t)ch;
    return mls__grid_signed(t->format, mls_tensor_code(t, i));
}

static uint32_t mls__group(const mls_tensor *t, int32_t n, int32_t ch)
{
    return t->group[(size_t)n * mls__group_step_n(t->format, t->shape) +
                    (size_t)ch * mls__group_step_c(t->format)];
}

/* 2^mg + m and k of a group code. */
MLS__INLINE int mls__fraction(mls_format f, uint32_t g)
{
    return (1 << f.mg) + (int)(g & f.mg);
}
MLS__INLINE int mls__k(mls_format f, uint32_t g)
{
    return (int)(g >> f.mg);
}

/* shift(P * fractions, F - k - k): the contribution of one group pair to acc. */
static mls__wide mls__pair_value(mls__wide p, const mls_tensor *f, uint32_t gf, const mls_tensor *g,
                                 uint32_t gg, int fraction_bits)
{
    int shift = fraction_bits - mls__k(f->format, gf) - mls__k(g->format, gg);
    p *= mls__fraction(f->format, gf) * mls__fraction(g->format, gg);
    if (shift >= 0) return p * ((mls__wide)1 << shift);
    return p >> (-shift < MLS__WIDE_BITS ? -shift : MLS__WIDE_BITS);
}

static float mls__finish(mls__wide acc, mls__scaling s)
{
    return ((float)acc * s.tensor) * s.units;
}

/* Whether the scale changes along c, along n. */
static int mls__scaled_c(const mls_tensor *t)
{
    return mls__group_step_c(t->format) != 0;
}
static int mls__scaled_n(const mls_tensor *t)
{
    return mls__group_step_n(t->format, t->shape) != 0;
}

static void mls__forward_image(const mls_conv *c, const mls_tensor *w, const mls_tensor *a,
                               int32_t n, float *out)
{
    mls_shape o = mls_conv_output(c);
    mls__scaling s = mls__scaling_make(w, a);
    int32_t step = mls__scaled_c(w) || mls__scaled_c(a) ? 1 : c->in.c; /* channels of a pair */
    for (int32_t y = 0; y < o.h; y++)
        for (int32_t x = 0; x < o.w; x++)
            for (int32_t co = 0; co < o.c; co++) {
                mls__wide acc = 0;
                for (int32_t c0 = 0; c0 < c->in.c; c0 += step) {
                    mls__wide p = 0;
                    for (int32_t ci = c0; ci < c0 + step; ci++)
                        for (int32_t ky = 0; ky < c->kh; ky++)
                            for (int32_t kx = 0; kx < c->kw; kx++) {
                                int32_t iy = y * c->stride + ky - c->pad,
                                        ix = x * c->stride + kx - c->pad;
                                if (iy < 0 || iy >= c->in.h || ix < 0 || ix >= c->in.w) continue;
                                p +=
                                    (mls__wide)mls__q(w, co, ky, kx, ci) * mls__q(a, n, iy, ix, ci);
                            }
                    acc += mls__pair_value(p, w, mls__group(w, co, c0), a, mls__group(a, n, c0),
                                           s.fraction);
                }
                *out++ = mls__finish(acc, s);
            }
}

static void mls__backward_data_image(const mls_conv *c, const mls_tensor *w, const mls_tensor *e,
                                     int32_t n, float *out)
{
    mls_shape o = mls_conv_output(c);
    mls__scaling s = mls__scaling_make(w, e);
    int32_t step = mls__scaled_n(w) || mls__scaled_c(e) ? 1 : o.c;
    for (int32_t y = 0; y < c->in.h; y++)
        for (int32_t x = 0; x < c->in.w; x++)
            for (int32_t ci = 0; ci < c->in.c; ci++) {
                mls__wide acc = 0;
                for (int32_t c0 = 0; c0 < o.c; c0 += step) {
                    mls__wide p = 0;
                    for (int32_t co = c0; co < c0 + step; co++)
                        for (int32_t ky = 0; ky < c->kh; ky++)
                            for (int32_t kx = 0; kx < c->kw; kx++) {
                                int32_t ty = y + c->pad - ky,
                                        tx = x + c->pad - kx; /* stride times the row of E */
                                if (ty < 0 || tx < 0 || ty % c->stride || tx % c->stride) continue;
                                if (ty / c->stride >= o.h || tx / c->stride >= o.w) continue;
                                p += (mls__wide)mls__q(w, co, ky, kx, ci) *
                                     mls__q(e, n, ty / c->stride, tx / c->stride, co);
                            }
                    acc += mls__pair_value(p, w, mls__group(w, c0, ci), e, mls__group(e, n, c0),
                                           s.fraction);
                }
                *out++ = mls__finish(acc, s);
            }
}

static void mls__backward_weight_reference(const mls_conv *c, const mls_tensor *e,
                                           const mls_tensor *a, float *out)
{
    mls_shape o = mls_conv_output(c);
    mls__scaling s = mls__scaling_make(e, a);
    int32_t step = mls__scaled_n(e) || mls__scaled_n(a) ? 1 : o.n; /* images of a pair */
    for (int32_t co = 0; co < o.c; co++)
        for (int32_t ky = 0; ky < c->kh; ky++)
            for (int32_t kx = 0; kx < c->kw; kx++)
                for (int32_t ci = 0; ci < c->in.c; ci++) {
                    mls__wide acc = 0;
                    for (int32_t n0 = 0; n0 < o.n; n0 += step) {
                        mls__wide p = 0;
                        for (int32_t n = n0; n < n0 + step; n++)
                            for (int32_t y = 0; y < o.h; y++)
                                for (int32_t x = 0; x < o.w; x++) {
                                    int32_t iy = y * c->stride + ky - c->pad,
                                            ix = x * c->stride + kx - c->pad;
                                    if (iy < 0 || iy >= c->in.h || ix < 0 || ix >= c->in.w)
                                        continue;
                                    p += (mls__wide)mls__q(e, n, y, x, co) *
                                         mls__q(a, n, iy, ix, ci);
                                }
                        acc += mls__pair_value(p, e, mls__group(e, n0, co), a,
                                               mls__group(a, n0, ci), s.fraction);
                    }
                    *out++ = mls__finish(acc, s);
                }
}

/* -------------------------------------------------------------------------------- >>classes
   How a convolution is carried out, and what it needs. */

enum {
    MLS__S8,       /* folded operands in 8 bits */
    MLS__S16,      /* in 16 bits, the packed one perhaps as two planes hi * 256 + lo */
    MLS__F32,      /* fp32 */
    MLS__WIDE,     /* raw q in 32 bits, group by group into 64 */
    MLS__REFERENCE /* everything else */
};

enum {
    MLS__LANE = 16,    /* outputs side by side in a packed operand, whatever the vector length */
    MLS__WORD = 4,     /* bytes that one lane takes at a time: 4 int8, 2 int16 or 1 float */
    MLS__AHEAD = 64,   /* elements that folding takes at a time */
    MLS__ROWS = 8,     /* most rows of a tile; row counts are padded to it */
    MLS__SLACK = 1024, /* readable bytes behind an image: what vector tails touch */
    MLS__BLOCKS = 8    /* blocks of images of the fp32 backward-weight sum */
};

/* One step of the micro-kernel: for m < mr rows and nb blocks of 16 lanes,
   c[m][lane] = init[m][lane] + sum over row, word of dot(a word, b word of the lane). */
typedef struct mls__dot {
    const uint8_t *a; /* the word of (m, row, word) is at a + m * m_step + row * row_step + ... */
    ptrdiff_t m_step, row_step, word_step;
    const uint8_t *b;      /* [row][word][16 lanes][4 bytes] of the first block */
    size_t b_row, b_block; /* bytes from row to row, from block to block */
    int32_t rows, words;
    const int32_t *init;
    size_t init_step; /* lanes from m to m + 1; 0: the same for every m */
    int32_t *c;
    size_t c_step;
} mls__dot;

/* Codes to folded integers: sign * q * multiplier. */
typedef struct mls__fold {
    const uint8_t *code;
    mls_format format;
    const int16_t *multiplier; /* of channel ch at [ch], repeated for MLS__AHEAD more */
    size_t channels;
    uint32_t flip; /* xor to every byte: 0x80 makes the bytes of the a operand unsigned */
} mls__fold;

/* Neighbouring pixels to words: word i of step q holds element i of the 4 / size pixels from
   q * 4 / size on; pixels beyond the last one count as zeros. */
typedef struct mls__mix_pixels {
    const uint8_t *from; /* the first pixel */
    size_t pixel;        /* bytes from pixel to pixel */
    size_t pixels;       /* that exist */
    size_t count;        /* elements of a pixel to take */
    int size;            /* bytes of an element */
    size_t steps;
    uint8_t *to;
    size_t to_step; /* bytes from step to step */
    const uint8_t *zeros;
} mls__mix_pixels;

typedef struct mls__kernel {
    int mr, nb;    /* largest tile */
    uint32_t bias; /* the int8 a operand is stored as a + bias */
    void (*dot)(int kind, int mr, int nb, const mls__dot *d);
    /* elements first .. first + count - 1, the first of them in channel ch, as size-byte integers */
    void (*fold)(const mls__fold *f, size_t first, size_t count, size_t ch, int size, uint8_t *to);
    void (*interleave)(const mls__mix_pixels *x);
    /* v = hi * 256 + lo, lo in -128 .. 127 */
    void (*split)(const int16_t *v, int16_t *hi, int16_t *lo, size_t count);
    /* out[m][lane] = ((float)c * fold * tensor) * units */
    void (*emit)(const int32_t *c, size_t c_step, int32_t count, size_t lanes, float fold,
                 float tensor, float units, float *out, size_t out_step);
    void (*wide)(const int32_t *a, ptrdiff_t row_step, ptrdiff_t col_step, const int32_t *b,
                 int32_t rows, int32_t cols, int64_t *p);
} mls__kernel;

static void mls__fold_scalar(const mls__fold *f, size_t first, size_t count, size_t ch, int size,
                             uint8_t *to)
{
    int bits = 1 + f->format.ex + f->format.mx;
    for (size_t i = 0; i < count; i++) {
        uint32_t code = mls__code_get(f->code, bits, first + i);
        int32_t v = (int32_t)mls__grid_signed(f->format, code) * (int32_t)f->multiplier[ch];
        int16_t v16 = (int16_t)v;
        if (size == 1) to[i] = (uint8_t)((uint32_t)v ^ f->flip);
        if (size == 2) memcpy(to + 2 * i, &v16, 2);
        if (size == 4) memcpy(to + 4 * i, &v, 4);
        if (++ch == f->channels) ch = 0;
    }
}

/* Pixel at of a row, which may be beyond its end. */
static const uint8_t *mls__mix_pixel(const mls__mix_pixels *x, size_t at)
{
    return at < x->pixels ? x->from + at * x->pixel : x->zeros;
}

static void mls__mix_rest(const mls__mix_pixels *x, size_t step, size_t first)
{
    size_t size = (size_t)x->size, each = MLS__WORD / size;
    for (size_t j = 0; j < each; j++) {
        const uint8_t *from = mls__mix_pixel(x, step * each + j);
        uint8_t *to = x->to + step * x->to_step + j * size;
        for (size_t i = first; i < x->count; i++) memcpy(to + i * MLS__WORD, from + i * size, size);
    }
}

static void mls__interleave_scalar(const mls__mix_pixels *x)
{
    for (size_t step = 0; step < x->steps; step++) mls__mix_rest(x, step, 0);
}

/* The scalar kernel computes integers by the reference; this is its fp32. */
static void mls__dot_scalar(int kind, int mr, int nb, const mls__dot *d)
{
    (void)kind;
    for (int m = 0; m < mr; m++) {
        for (int lane = 0; lane < nb * MLS__LANE; lane++) {
            const uint8_t *b = d->b + (size_t)(lane / MLS__LANE) * d->b_block;
            float sum, av, bv;
            memcpy(&sum, &d->init[(size_t)m * d->init_step + (size_t)lane], 4);
            for (int32_t row = 0; row < d->rows; row++) {
                const uint8_t *a = d->a + m * d->m_step + row * d->row_step;
                for (int32_t word = 0; word < d->words; word++) {
                    memcpy(&av, a + word * d->word_step, 4);
                    memcpy(&bv,
                           b + (size_t)row * d->b_row +
                               (size_t)(word * MLS__LANE + lane % MLS__LANE) * MLS__WORD,
                           4);
                    sum = mls__fma(av, bv, sum);
                }
            }
            memcpy(&d->c[(size_t)m * d->c_step + (size_t)lane], &sum, 4);
        }
    }
}

#define MLS__EACH MLS_CONV_HEADER
#include MLS_HEADER
#undef MLS__EACH

static const mls__kernel mls__kernels[] = {
    {1, 1, 0, mls__dot_scalar, mls__fold_scalar, mls__interleave_scalar, 0, 0, 0},
#if MLS__X86
    {2, 1, 0, mls__dot_sse41, mls__fold_sse41, mls__interleave_sse41, mls__split_sse41,
     mls__emit_sse41, mls__wide_sse41},
    {4, 1, 0, mls__dot_avx2, mls__fold_avx2, mls__interleave_avx2, mls__split_avx2, mls__emit_avx2,
     mls__wide_avx2},
    {8, 2, 128, mls__dot_avx512vnni, mls__fold_avx512vnni, mls__interleave_avx512vnni,
     mls__split_avx512vnni, mls__emit_avx512vnni, mls__wide_avx512vnni},
#endif
};

/* Everything about one convolution call: how, where, with what. */
typedef struct mls__run {
    mls_conv c;
    mls_shape out; /* of the forward convolution */
    mls_direction direction;
    const mls__kernel *kernel;
    int kind, size, planes; /* class, bytes of an element, planes of the packed operand */
    uint32_t bias;
    int64_t segment; /* terms that 32 bits hold */
    /* The first operand (W, or E in backward-weight) is packed; the second (A or E) is the padded
       image. One pair of these is null. */
    const mls_tensor *first, *second;
    const float *first32, *second32;
    float *output;
    mls__scaling scaling;
    int k1, k2; /* folding exponents */
    float fold; /* 2^(F - k1 - k2) */
    int merged; /* wide: all channels (images) form one pair */
    /* padded image of the second operand */
    mls_shape data; /* its n, h, w, c */
    int32_t top, left, rows, cols;
    /* packed operand */
    int32_t lanes, blocks, taps_y, taps_x, words, phases, phases_x;
    size_t phase_bytes; /* all planes */
    uint8_t *packed;
    int32_t *bias_row;        /* [phase][blocks * 16] */
    int32_t *wide_k, *wide_m; /* [block][pair][16], wide class */
    /* backward-weight: sums of a block or a thread */
    int32_t depth; /* kw * c_in, padded to MLS__ROWS */
    int32_t sums;
    size_t sum_bytes;
    uint8_t *sum;
    /* scratch of a thread */
    int32_t slots;
    size_t image_bytes, mixed_bytes, error_bytes, slot_bytes;
    uint8_t *slot;
} mls__run;

/* Lays the parts out from address 0 for the class in run->kind: their sizes, and the total for a
   number of slots. Pointers are set by mls__run_place. */
static size_t mls__run_size(mls__run *r, int slots)
{
    const mls_conv *c = &r->c;
    size_t taps, pixels = (size_t)r->out.h * (size_t)r->out.w, total, elements;
    int32_t s = c->stride;
    r->size = r->kind == MLS__S8 ? 1 : r->kind == MLS__S16 ? 2 : 4;
    r->slots = slots;
    if (r->kind == MLS__REFERENCE) return 0;
    r->data = c->in;
    r->top = r->left = c->pad;
    r->rows = (r->out.h - 1) * s + c->kh;
    r->cols = (r->out.w - 1) * s + c->kw;
    r->taps_y = c->kh, r->taps_x = c->kw, r->phases = 1;
    r->lanes = c->c_out;
    if (r->direction == MLS_BACKWARD_DATA) {
        /* Row y of dA takes the taps ky = (y + pad) mod s, + s, + 2 s ...: every residue is a
           stride-1 convolution of E with its share of the flipped kernel. */
        r->data = r->out;
        r->taps_y = (c->kh + s - 1) / s, r->taps_x = (c->kw + s - 1) / s;
        r->phases_x = s < c->kw ? s : c->kw;
        r->phases = (s < c->kh ? s : c->kh) * r->phases_x;
        r->top = r->taps_y - 1, r->left = r->taps_x - 1;
        r->rows = (c->in.h - 1 + c->pad) / s + 1, r->cols = (c->in.w - 1 + c->pad) / s + 1;
        r->rows = r->top + (r->rows > r->out.h ? r->rows : r->out.h);
        r->cols = r->left + (r->cols > r->out.w ? r->cols : r->out.w);
        r->lanes = c->in.c;
    }
    r->blocks = (r->lanes + MLS__LANE - 1) / MLS__LANE;
    elements = (size_t)r->taps_x * (size_t)r->data.c;
    r->words = (int32_t)((elements * (size_t)r->size + MLS__WORD - 1) / MLS__WORD);
    r->depth = (int32_t)mls__align(elements, MLS__ROWS);
    taps = (size_t)r->taps_y * (size_t)r->words * MLS__LANE * MLS__WORD;
    r->phase_bytes = 0;
    r->sum_bytes = 0;
    r->sums = 0;
    total = MLS__ALIGN;
    if (r->direction != MLS_BACKWARD_WEIGHT) {
        r->phase_bytes = taps * (size_t)r->blocks * (r->kind == MLS__S16 ? 2 : 1);
        total += (size_t)r->phases * (r->phase_bytes + (size_t)r->blocks * MLS__LANE * 4);
        if (r->kind == MLS__WIDE) {
            total += 2 * (size_t)r->data.c * (size_t)r->blocks * MLS__LANE * 4;
        }
    } else {
        size_t count = (size_t)c->kh * (size_t)r->depth * (size_t)r->blocks * MLS__LANE;
        size_t each = r->kind == MLS__F32 ? 4 : r->kind == MLS__S16 ? 16 : 12;
        r->sum_bytes =
            mls__align(MLS__ALIGN + count * each + (size_t)r->blocks * MLS__LANE * 8, MLS__ALIGN);
        r->sums = r->kind == MLS__F32 ? MLS__BLOCKS : slots;
        if (r->sums > c->in.n) r->sums = c->in.n;
        total += (size_t)r->sums * r->sum_bytes;
    }
    /* image, then (backward-weight) the image as words of neighbouring pixels, E, E as words */
    r->image_bytes = mls__align(
        (size_t)r->rows * (size_t)r->cols * (size_t)r->data.c * (size_t)r->size + MLS__SLACK +
            (size_t)c->stride * (size_t)r->data.c * (size_t)r->size * (MLS__ROWS + MLS__WORD),
        MLS__ALIGN);
    r->mixed_bytes = r->error_bytes = 0;
    if (r->direction == MLS_BACKWARD_WEIGHT) {
        size_t quads = ((size_t)r->out.w + 3) / 4 * 4;
        if (r->size < MLS__WORD) {
            r->mixed_bytes = mls__align(
                (size_t)r->rows * quads * elements * (size_t)r->size + MLS__SLACK, MLS__ALIGN);
        }
        r->error_bytes =
            mls__align(pixels * (size_t)c->c_out * 4 + (size_t)c->c_out * 4 + MLS__SLACK,
                       MLS__ALIGN) +
            2 * mls__align((size_t)r->out.h * quads * (size_t)r->blocks * MLS__LANE * 4,
                           MLS__ALIGN);
    }
    r->slot_bytes =
        r->image_bytes + r->mixed_bytes + r->error_bytes +
        mls__align(((size_t)r->data.c + (size_t)c->c_out + MLS__AHEAD) * sizeof(int16_t),
                   MLS__ALIGN);
    return total + (size_t)slots * r->slot_bytes;
}

/* Largest k that a tensor uses: groups of zeros, which sit at the bottom, do not count. by_peak:
   t->peak tells them, and the codes may be missing yet. -1: a group code that is none (S_g <= 1). */
static int mls__k_used(const mls_tensor *t, int by_peak)
{
    mls_format f = t->format;
    size_t n = (size_t)t->shape.n, c = (size_t)t->shape.c, image = mls__image(t->shape);
    size_t groups = mls_group_count(f, t->shape);
    int most = 0, bottom = mls__k_max(f), bits = 1 + f.ex + f.mx;
    for (size_t g = 0; g < groups; g++) {
        int k = mls__k(f, t->group[g]);
        if (k > bottom || (k == 0 && (t->group[g] & f.mg))) return -1;
        if (k > most && k < bottom) most = k;
    }
    if (bottom <= 8) { /* folding may use a larger K than it must, and this one is free */
        for (size_t g = 0; g < groups; g++) {
            if (mls__k(f, t->group[g]) == bottom) return bottom;
        }
        return most;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t ch = 0; ch < c; ch++) {
            if (mls__k(f, mls__group(t, (int32_t)i, (int32_t)ch)) != bottom) continue;
            if (by_peak && t->peak[i * c + ch] != 0) return bottom;
            if (by_peak) continue;
            for (size_t at = ch; at < image; at += c) {
                if (mls__code_get(t->code, bits, i * image + at)) return bottom;
            }
        }
    }
    return most;
}

/* Largest folded magnitude; above 2^32 only says "too large". */
static uint64_t mls__folded_max(mls_format f, int k)
{
    uint64_t q = (uint64_t)mls__grid(f, (uint32_t)mls__code_max(f));
    return q >> 32 || k > 30 ? UINT64_MAX >> 1 : q << (k + f.mg);
}

/* The class for operands whose largest magnitudes are a and b. */
static int mls__class(const mls_conv *c, mls_direction direction, mls_format f, mls_format g,
                      uint64_t a, uint64_t b)
{
    /* rows of taps are padded to whole words */
    uint64_t terms = mls__terms(c, direction) + MLS__WORD * (uint64_t)c->kh, widest = 255u * 127u;
    mls_shape out = mls_conv_output(c);
    if (direction == MLS_BACKWARD_WEIGHT) terms = (uint64_t)out.h * ((uint64_t)out.w + 4);
    if (a <= 127 && b <= 127 && terms <= INT32_MAX / widest) return MLS__S8;
    if (a <= 32767 && b <= 32767) return MLS__S16;
    if (mls__acc_bits(c, direction, f, g) <= 62 &&
        mls__grid(f, (uint32_t)mls__code_max(f)) <= INT32_MAX &&
        mls__grid(g, (uint32_t)mls__code_max(g)) <= INT32_MAX) {
        return MLS__WIDE;
    }
    return MLS__REFERENCE;
}

/* Sets everything but the operands. kind: the class. */
static void mls__run_begin(mls__run *r, const mls_conv *c, mls_direction direction, int kind)
{
    memset(r, 0, sizeof *r);
    r->c = mls__conv_defaults(c);
    r->out = mls_conv_output(&r->c);
    r->direction = direction;
    r->kernel = &mls__kernels[mls__unit()];
    r->kind = kind;
    r->planes = 1;
    r->segment = INT32_MAX;
}

/* Bytes for one direction and a number of threads, whatever the tensors will hold; formats are null
   for fp32. */
static size_t mls__direction_workspace(const mls_conv *conv, mls_direction direction,
                                       const mls_format *first, const mls_format *second,
                                       int threads)
{
    size_t most = 0;
    int worst = MLS__F32, images = conv->in.n;
    if (first) {
        worst = mls__class(conv, direction, *first, *second,
                           mls__folded_max(*first, mls__k_max(*first)),
                           mls__folded_max(*second, mls__k_max(*second)));
    }
    /* Which class it will be depends on the k in use: any up to the worst. */
    for (int kind = first ? MLS__S8 : MLS__F32; kind <= worst; kind++) {
        mls__run r;
        size_t size;
        if (first && kind == MLS__F32) continue;
        mls__run_begin(&r, conv, direction, kind);
        size = mls__run_size(&r, threads < images ? threads : images);
        if (size > most) most = size;
    }
    return most;
}

MLS_DEF size_t mls_conv_workspace(const mls_conv *conv, mls_format weight, mls_format data)
{
    size_t most = 1;
    mls_format zero;
    mls_conv c;
    int fp32;
    memset(&zero, 0, sizeof zero);
    if (!conv || !mls_conv_output(conv).n) return 0;
    c = mls__conv_defaults(conv);
    fp32 = memcmp(&weight, &zero, sizeof zero) == 0 && memcmp(&data, &zero, sizeof zero) == 0;
    if (!fp32 && (mls_format_check(weight) != MLS_OK || mls_format_check(data) != MLS_OK)) return 0;
    for (int d = 0; d < 3; d++) {
        size_t size = mls__direction_workspace(&c, (mls_direction)d, fp32 ? 0 : &weight,
                                               fp32 ? 0 : &data, MLS__THREADS());
        if (size > most) most = size;
    }
    return most;
}

/* Takes the workspace; with too little for all threads fewer slots. */
static mls_status mls__run_place(mls__run *r, void *memory, size_t size, int threads)
{
    uint8_t *p = (uint8_t *)memory;
    int slots = threads < r->out.n ? threads : r->out.n;
    if (r->kind == MLS__REFERENCE) return MLS_OK;
    if (!p) return MLS_ERROR_ARGUMENT;
    while (mls__run_size(r, slots) > size) {
        if (--slots < 1) return MLS_ERROR_MEMORY;
    }
    p += (MLS__ALIGN - (uintptr_t)p % MLS__ALIGN) % MLS__ALIGN;
    r->slot = p, p += (size_t)r->slots * r->slot_bytes;
    r->sum = p, p += (size_t)r->sums * r->sum_bytes;
    if (r->direction == MLS_BACKWARD_WEIGHT) return MLS_OK;
    r->packed = p, p += (size_t)r->phases * r->phase_bytes;
    r->bias_row = (int32_t *)(void *)p, p += (size_t)r->phases * (size_t)r->blocks * MLS__LANE * 4;
    r->wide_k = (int32_t *)(void *)p;
    r->wide_m = r->wide_k + (size_t)r->data.c * (size_t)r->blocks * MLS__LANE;
    return MLS_OK;
}

/* ----------------------------------------------------------------------------------- >>pack */

/* Folding multiplier of a group: (2^mg + m) * 2^(K - k); a group of zeros may lie below K. */
static int32_t mls__multiplier(mls_format f, uint32_t g, int k_used, int wide)
{
    int k = mls__k(f, g);
    if (wide) return 1;
    return k > k_used ? 0 : mls__fraction(f, g) << (k_used - k);
}

/* Where weight (co, ky, kx, ci) goes: phase, tap row, index in the row, lane. */
typedef struct mls__place {
    int32_t phase, row, index, lane, col, channel;
} mls__place;

static mls__place mls__weight_place(const mls__run *r, int32_t co, int32_t ky, int32_t kx,
                                    int32_t ci)
{
    mls__place p;
    int32_t s = r->c.stride;
    p.phase = 0, p.row = ky, p.col = kx, p.channel = ci, p.lane = co;
    if (r->direction == MLS_BACKWARD_DATA) {
        p.phase = ky % s * r->phases_x + kx % s;
        p.row = (r->c.kh - ky % s + s - 1) / s - 1 - ky / s;
        p.col = (r->c.kw - kx % s + s - 1) / s - 1 - kx / s;
        p.channel = co, p.lane = ci;
    }
    p.index = p.col * r->data.c + p.channel;
    return p;
}

/* Packs the weights as [phase][plane][block][row][word][16 lanes][4 bytes]; in the wide class,
   where each channel is a pair of its own, as int32 [phase][block][channel][row][col][16]. */
static void mls__pack_weights(mls__run *r)
{
    const mls_conv *c = &r->c;
    size_t row_bytes = (size_t)r->words * MLS__LANE * MLS__WORD;
    size_t block_bytes = (size_t)r->taps_y * row_bytes, i = 0;
    size_t plane_bytes = (size_t)r->blocks * block_bytes;
    int per_word = MLS__WORD / r->size, bits = 0;
    memset(r->packed, 0, (size_t)r->phases * r->phase_bytes);
    memset(r->bias_row, 0, (size_t)r->phases * (size_t)r->blocks * MLS__LANE * 4);
    if (r->first) bits = mls_format_bits(r->first->format);
    for (int32_t co = 0; co < c->c_out; co++)
        for (int32_t ky = 0; ky < c->kh; ky++)
            for (int32_t kx = 0; kx < c->kw; kx++)
                for (int32_t ci = 0; ci < c->in.c; ci++, i++) {
                    mls__place p = mls__weight_place(r, co, ky, kx, ci);
                    size_t lane = (size_t)(p.lane % MLS__LANE),
                           block = (size_t)(p.lane / MLS__LANE);
                    uint8_t *to =
                        r->packed + (size_t)p.phase * r->phase_bytes + block * block_bytes;
                    int32_t v;
                    if (r->kind == MLS__WIDE && !r->merged) {
                        to += (((size_t)p.channel * (size_t)r->taps_y + (size_t)p.row) *
                                   (size_t)r->taps_x +
                               (size_t)p.col) *
                                  MLS__LANE * 4 +
                              lane * 4;
                    } else {
                        to += (size_t)p.row * row_bytes +
                              (size_t)(p.index / per_word) * MLS__LANE * MLS__WORD +
                              lane * MLS__WORD + (size_t)(p.index % per_word * r->size);
                    }
                    if (r->kind == MLS__F32) {
                        memcpy(to, &r->first32[i], 4);
                        continue;
                    }
                    v = (int32_t)mls__grid_signed(r->first->format,
                                                  mls__code_get(r->first->code, bits, i));
                    if (!v) continue;
                    v *= mls__multiplier(r->first->format, mls__group(r->first, co, ci), r->k1,
                                         r->kind == MLS__WIDE);
                    if (r->size == 1) {
                        *to = (uint8_t)v;
                        r->bias_row[(p.phase * r->blocks) * MLS__LANE + p.lane] -=
                            (int32_t)r->bias * v;
                    } else if (r->size == 2) {
                        int16_t hi = (int16_t)((v + 128) >> 8), lo = (int16_t)v;
                        if (r->planes == 2) {
                            lo = (int16_t)(v - hi * 256);
                            memcpy(to + plane_bytes, &hi, 2);
                        }
                        memcpy(to, &lo, 2);
                    } else {
                        memcpy(to, &v, 4);
                    }
                }
}

/* Multipliers of the channels of image n, and their repetition. */
static void mls__multipliers(const mls_tensor *t, int32_t n, int k_used, int wide, int16_t *to)
{
    int32_t c = t->shape.c;
    for (int32_t ch = 0; ch < c; ch++) {
        to[ch] = (int16_t)mls__multiplier(t->format, mls__group(t, n, ch), k_used, wide);
    }
    for (int32_t ch = c; ch < c + MLS__AHEAD; ch++) to[ch] = to[ch - c];
}

/* Image n of the second operand, folded, with its padding. */
static void mls__pad_image(const mls__run *r, int32_t n, uint8_t *image, int16_t *multiplier)
{
    size_t size = (size_t)r->size, c = (size_t)r->data.c;
    size_t row_bytes = (size_t)r->cols * c * size;
    int32_t w = r->data.w < r->cols - r->left ? r->data.w : r->cols - r->left;
    mls__fold f;
    memset(image, r->size == 1 ? (int)r->bias : 0, r->image_bytes);
    if (r->second) {
        f.code = r->second->code, f.format = r->second->format, f.multiplier = multiplier;
        f.channels = c, f.flip = r->size == 1 ? r->bias : 0;
        mls__multipliers(r->second, n, r->k2, r->kind == MLS__WIDE, multiplier);
    }
    for (int32_t y = 0; y < r->data.h && y + r->top < r->rows && w > 0; y++) {
        size_t at = ((size_t)n * (size_t)r->data.h + (size_t)y) * (size_t)r->data.w * c;
        uint8_t *to = image + (size_t)(y + r->top) * row_bytes + (size_t)r->left * c * size;
        if (r->second)
            r->kernel->fold(&f, at, (size_t)w * c, 0, r->size, to);
        else
            memcpy(to, r->second32 + at, (size_t)w * c * 4);
    }
}

/* ------------------------------------------------------------------------------------ >>run
   Forward and backward-data: one image at a time, phase by phase, tile by tile. */

/* The part of the output that takes the same taps. */
typedef struct mls__phase {
    int32_t taps_y, taps_x;
    int32_t h, w;       /* outputs */
    int32_t y, x, step; /* the first of them, and their distance in the output image */
    int32_t row, col;   /* of its first tap in the padded image */
    int32_t stride;     /* of the taps from output to output */
} mls__phase;

static void mls__phase_side(int32_t residue, int32_t s, int32_t k, int32_t pad, int32_t side,
                            int32_t most, int32_t *taps, int32_t *count, int32_t *first,
                            int32_t *at)
{
    int32_t t = pad > residue ? (pad - residue + s - 1) / s : 0;
    *taps = (k - residue + s - 1) / s;
    *first = s * t + residue - pad;
    *count = *first < side ? (side - 1 - *first) / s + 1 : 0;
    *at = t - (*taps - 1) + most - 1;
}

static mls__phase mls__phase_make(const mls__run *r, int32_t index)
{
    const mls_conv *c = &r->c;
    mls__phase p;
    p.taps_y = c->kh, p.taps_x = c->kw, p.h = r->out.h, p.w = r->out.w;
    p.y = p.x = p.row = p.col = 0, p.step = 1, p.stride = c->stride;
    if (r->direction == MLS_BACKWARD_DATA) {
        int32_t s = c->stride;
        mls__phase_side(index / r->phases_x, s, c->kh, c->pad, c->in.h, r->taps_y, &p.taps_y, &p.h,
                        &p.y, &p.row);
        mls__phase_side(index % r->phases_x, s, c->kw, c->pad, c->in.w, r->taps_x, &p.taps_x, &p.w,
                        &p.x, &p.col);
        p.step = s, p.stride = 1;
    }
    return p;
}

/* Rows of the largest tile not above what is left; a power of two. */
static int mls__tile_rows(int most, int32_t left)
{
    int mr = most;
    while (mr > 1 && mr / 2 >= left) mr /= 2;
    return mr;
}

/* Adds d in segments that 32 bits hold to the 64-bit tile. */
static void mls__dot_segments(const mls__run *r, mls__dot d, int mr, int nb, size_t plane_bytes,
                              int64_t *sum)
{
    int32_t tile[MLS__ROWS * 2 * MLS__LANE], zero[2 * MLS__LANE] = {0};
    int32_t words = (int32_t)(r->segment / (MLS__WORD / r->size)), rows = d.rows, all = d.words;
    const uint8_t *a = d.a, *b = d.b;
    int32_t row_step = all && words / all ? words / all : 1, word_step = words < all ? words : all;
    MLS_ASSERT(r->kind == MLS__S16); /* it has no bias */
    memset(sum, 0, sizeof(int64_t) * (size_t)(mr * nb * MLS__LANE));
    d.init = zero, d.init_step = 0, d.c = tile, d.c_step = (size_t)(nb * MLS__LANE);
    for (int plane = 0; plane < r->planes; plane++) {
        for (int32_t row = 0; row < rows; row += row_step) {
            for (int32_t word = 0; word < all; word += word_step) {
                d.rows = rows - row < row_step ? rows - row : row_step;
                d.words = all - word < word_step ? all - word : word_step;
                d.a = a + row * d.row_step + word * d.word_step;
                d.b = b + (size_t)plane * plane_bytes + (size_t)row * d.b_row +
                      (size_t)word * MLS__LANE * MLS__WORD;
                r->kernel->dot(r->kind, mr, nb, &d);
                for (int i = 0; i < mr * nb * MLS__LANE; i++) {
                    sum[i] += (int64_t)tile[i] * (plane ? 256 : 1);
                }
            }
        }
    }
}

static void mls__run_wide(const mls__run *r, int32_t n, const int32_t *image, mls__phase p,
                          const uint8_t *packed, float *to);

/* to: output image n */
static void mls__run_image(const mls__run *r, int32_t n, int slot, float *to)
{
    uint8_t *image = r->slot + (size_t)slot * r->slot_bytes;
    int16_t *multiplier = (int16_t *)(void *)(image + r->image_bytes);
    size_t pixel = (size_t)r->data.c * (size_t)r->size, row_bytes = (size_t)r->cols * pixel;
    int32_t side_w = r->direction == MLS_FORWARD ? r->out.w : r->c.in.w;
    mls__pad_image(r, n, image, multiplier);
    if (r->direction == MLS_BACKWARD_DATA && (r->c.stride > r->c.kh || r->c.stride > r->c.kw)) {
        memset(to, 0, mls__image(r->c.in) * sizeof(float)); /* some outputs have no taps */
    }
    for (int32_t index = 0; index < r->phases; index++) {
        mls__phase p = mls__phase_make(r, index);
        const uint8_t *packed = r->packed + (size_t)index * r->phase_bytes;
        const int32_t *bias = r->bias_row + (size_t)index * (size_t)r->blocks * MLS__LANE;
        size_t out_step = (size_t)p.step * (size_t)r->lanes;
        int64_t terms = (int64_t)p.taps_y * p.taps_x * r->data.c + MLS__WORD * p.taps_y;
        mls__dot d;
        if (r->kind == MLS__WIDE) {
            mls__run_wide(r, n, (const int32_t *)(const void *)image, p, packed, to);
            continue;
        }
        d.m_step = (ptrdiff_t)((size_t)p.stride * pixel);
        d.row_step = (ptrdiff_t)row_bytes, d.word_step = MLS__WORD;
        d.b_row = (size_t)r->words * MLS__LANE * MLS__WORD;
        d.b_block = (size_t)r->taps_y * d.b_row;
        d.rows = p.taps_y;
        d.words = (int32_t)(((size_t)p.taps_x * pixel + MLS__WORD - 1) / MLS__WORD);
        for (int32_t y = 0; y < p.h; y++) {
            float *row = to + (size_t)(p.y + y * p.step) * (size_t)side_w * (size_t)r->lanes;
            for (int32_t x = 0; x < p.w; x += r->kernel->mr) {
                int32_t count = p.w - x < r->kernel->mr ? p.w - x : r->kernel->mr;
                int mr = mls__tile_rows(r->kernel->mr, count);
                const uint8_t *a = image + (size_t)(p.row + y * p.stride) * row_bytes +
                                   (size_t)(p.col + x * p.stride) * pixel;
                for (int32_t block = 0; block < r->blocks; block += r->kernel->nb) {
                    int32_t tile[MLS__ROWS * 2 * MLS__LANE];
                    int nb = r->blocks - block < r->kernel->nb ? 1 : r->kernel->nb;
                    size_t first = (size_t)block * MLS__LANE, lanes = (size_t)(nb * MLS__LANE);
                    float *out = row + (size_t)(p.x + x * p.step) * (size_t)r->lanes + first;
                    if (lanes > (size_t)r->lanes - first) lanes = (size_t)r->lanes - first;
                    d.a = a;
                    d.b = packed + (size_t)block * d.b_block;
                    if (r->kind != MLS__F32 && (terms > r->segment || r->planes > 1)) {
                        int64_t sum[MLS__ROWS * 2 * MLS__LANE];
                        mls__dot_segments(r, d, mr, nb, (size_t)r->blocks * d.b_block, sum);
                        for (int32_t m = 0; m < count; m++) {
                            for (size_t i = 0; i < lanes; i++) {
                                float z = (float)sum[m * nb * MLS__LANE + (int32_t)i] * r->fold;
                                out[(size_t)m * out_step + i] =
                                    (z * r->scaling.tensor) * r->scaling.units;
                            }
                        }
                        continue;
                    }
                    d.init = bias + first, d.init_step = 0;
                    d.c = tile, d.c_step = (size_t)(nb * MLS__LANE);
                    r->kernel->dot(r->kind, mr, nb, &d);
                    if (r->kind == MLS__F32) {
                        for (int32_t m = 0; m < count; m++) {
                            memcpy(out + (size_t)m * out_step, tile + (size_t)m * d.c_step,
                                   lanes * 4);
                        }
                    } else {
                        r->kernel->emit(tile, d.c_step, count, lanes, r->fold, r->scaling.tensor,
                                        r->scaling.units, out, out_step);
                    }
                }
            }
        }
    }
}

/* Backward-weight. A sum holds the terms of the images given to it so far: int32 (or float)
   [plane][ky][depth][lanes] and, for integers, the same in int64 for what had to move on. */

typedef struct mls__sum {
    int64_t terms;  /* in the 32-bit part */
    int64_t *error; /* [lanes] sum of E, which the bias of A multiplies */
    int64_t *c64;
    int32_t *c32;
    size_t count; /* kh * depth * lanes */
} mls__sum;

static mls__sum mls__sum_at(const mls__run *r, int32_t index)
{
    uint8_t *p = r->sum + (size_t)index * r->sum_bytes;
    size_t lanes = (size_t)r->blocks * MLS__LANE;
    mls__sum s;
    memcpy(&s.terms, p, sizeof s.terms);
    s.count = (size_t)r->c.kh * (size_t)r->depth * lanes;
    p += MLS__ALIGN;
    s.error = (int64_t *)(void *)p, p += lanes * 8;
    s.c64 = (int64_t *)(void *)p;
    if (r->kind != MLS__F32) p += s.count * 8;
    s.c32 = (int32_t *)(void *)p;
    return s;
}

/* Moves the 32-bit sums on. */
static void mls__sum_flush(const mls__run *r, mls__sum *s)
{
    for (int plane = 0; plane < r->planes; plane++) {
        int32_t *from = s->c32 + (size_t)plane * s->count;
        int64_t scale = plane ? 256 : 1;
        for (size_t i = 0; i < s->count; i++) s->c64[i] += (int64_t)from[i] * scale;
    }
    memset(s->c32, 0, s->count * 4 * (size_t)r->planes);
    s->terms = 0;
}

static void mls__weight_wide(const mls__run *r, int32_t n, const int32_t *image, const int32_t *e,
                             mls__sum *sum);

static void mls__run_weight_image(const mls__run *r, int32_t n, int slot, int32_t sum_index)
{
    const mls_conv *c = &r->c;
    size_t size = (size_t)r->size, ci = (size_t)r->data.c, co = (size_t)c->c_out;
    size_t depth = (size_t)c->kw * ci, lanes = (size_t)r->blocks * MLS__LANE;
    size_t per_word = MLS__WORD / size, quads = ((size_t)r->out.w + per_word - 1) / per_word;
    size_t row_bytes = (size_t)r->cols * ci * size, block_bytes;
    size_t pixels = (size_t)r->out.h * (size_t)r->out.w;
    uint8_t *image = r->slot + (size_t)slot * r->slot_bytes, *mixed = image + r->image_bytes;
    uint8_t *error = mixed + r->mixed_bytes, *zeros = error + pixels * co * 4;
    uint8_t *packed = error + mls__align(pixels * co * 4 + co * 4 + MLS__SLACK, MLS__ALIGN);
    int16_t *multiplier = (int16_t *)(void *)(error + r->error_bytes);
    int32_t ones[MLS__ROWS], none[2 * MLS__LANE] = {0}, tile[2 * MLS__LANE];
    size_t plane_bytes =
        mls__align((size_t)r->out.h * (((size_t)r->out.w + 3) / 4 * 4) * lanes * 4, MLS__ALIGN);
    mls__sum sum = mls__sum_at(r, sum_index);
    mls__dot d;
    int64_t most;
    mls__pad_image(r, n, image, multiplier);
    /* E as words of neighbouring pixels: [plane][block][row][word][16 lanes] */
    memset(zeros, 0, co * 4 + MLS__SLACK);
    if (r->first) {
        mls__fold f;
        f.code = r->first->code, f.format = r->first->format, f.multiplier = multiplier;
        f.channels = co, f.flip = 0;
        mls__multipliers(r->first, n, r->k1, r->kind == MLS__WIDE, multiplier);
        r->kernel->fold(&f, (size_t)n * pixels * co, pixels * co, 0, r->size, error);
    } else {
        memcpy(error, r->first32 + (size_t)n * pixels * co, pixels * co * 4);
    }
    block_bytes = (size_t)r->out.h * quads * MLS__LANE * MLS__WORD;
    if (co % MLS__LANE) memset(packed, 0, (size_t)r->planes * plane_bytes);
    for (int plane = r->planes - 1; plane >= 0; plane--) {
        /* with two planes the upper half of the error region holds hi, the lower then lo */
        uint8_t *from = error;
        if (r->planes == 2 && plane == 1) {
            from = error + pixels * co * 2;
            r->kernel->split((int16_t *)(void *)error, (int16_t *)(void *)from,
                             (int16_t *)(void *)error, pixels * co);
        }
        for (size_t y = 0; y < (size_t)r->out.h; y++) {
            for (size_t block = 0; block < (size_t)r->blocks; block++) {
                size_t first = block * MLS__LANE;
                mls__mix_pixels x;
                x.from = from + (y * (size_t)r->out.w * co + first) * size;
                x.pixel = co * size, x.pixels = (size_t)r->out.w, x.size = r->size;
                x.count = co - first;
                if (x.count > MLS__LANE) x.count = MLS__LANE;
                x.steps = quads, x.to_step = MLS__LANE * MLS__WORD, x.zeros = zeros;
                x.to = packed + (size_t)plane * plane_bytes + block * block_bytes +
                       y * quads * x.to_step;
                r->kernel->interleave(&x);
            }
        }
    }
    if (r->kind == MLS__WIDE) {
        mls__weight_wide(r, n, (const int32_t *)(const void *)image,
                         (const int32_t *)(const void *)packed, &sum);
        return;
    }
    /* A as words of neighbouring output pixels: [row][word][kx, ci] */
    d.a = image, d.m_step = MLS__WORD;
    d.word_step = (ptrdiff_t)((size_t)c->stride * ci * size), d.row_step = (ptrdiff_t)row_bytes;
    if (r->size < MLS__WORD) {
        d.a = mixed, d.word_step = (ptrdiff_t)(depth * MLS__WORD);
        d.row_step = (ptrdiff_t)(quads * depth * MLS__WORD);
        for (size_t row = 0; row < (size_t)r->rows; row++) {
            mls__mix_pixels x;
            x.from = image + row * row_bytes;
            x.pixel = (size_t)c->stride * ci * size, x.pixels = SIZE_MAX; /* E is zero beyond */
            x.count = depth, x.size = r->size, x.steps = quads;
            x.to_step = depth * MLS__WORD, x.zeros = zeros;
            x.to = mixed + row * quads * x.to_step;
            r->kernel->interleave(&x);
        }
    }
    {
        const uint8_t *a = d.a;
        ptrdiff_t a_row = d.row_step;
        int32_t rows, words;
        d.b_row = quads * MLS__LANE * MLS__WORD, d.b_block = block_bytes;
        if (r->bias && r->size == 1) {
            for (int i = 0; i < MLS__ROWS; i++) ones[i] = 0x01010101;
            for (size_t block = 0; block < (size_t)r->blocks; block++) {
                mls__dot e = d;
                e.a = (const uint8_t *)ones, e.m_step = e.row_step = e.word_step = 0;
                e.b = packed + block * block_bytes, e.rows = r->out.h, e.words = (int32_t)quads;
                e.init = none, e.init_step = 0, e.c = tile, e.c_step = MLS__LANE;
                r->kernel->dot(r->kind, 1, 1, &e);
                for (size_t i = 0; i < MLS__LANE; i++) sum.error[block * MLS__LANE + i] += tile[i];
            }
        }
        most = r->segment / (int64_t)per_word; /* words that 32 bits hold */
        words = (int64_t)quads < most ? (int32_t)quads : (int32_t)most;
        rows = most / words < r->out.h ? (int32_t)(most / words) : r->out.h;
        for (int32_t y = 0; y < r->out.h; y += rows) {
            for (int32_t q = 0; q < (int32_t)quads; q += words) {
                d.rows = r->out.h - y < rows ? r->out.h - y : rows;
                d.words = (int32_t)quads - q < words ? (int32_t)quads - q : words;
                if (r->kind != MLS__F32) {
                    int64_t terms = (int64_t)d.rows * d.words * (int64_t)per_word;
                    if (sum.terms + terms > r->segment) mls__sum_flush(r, &sum);
                    sum.terms += terms;
                }
                d.row_step = a_row * c->stride;
                for (int plane = 0; plane < r->planes; plane++) {
                    for (int32_t ky = 0; ky < c->kh; ky++) {
                        for (size_t m = 0; m < depth; m += (size_t)r->kernel->mr) {
                            int mr = mls__tile_rows(r->kernel->mr, (int32_t)(depth - m));
                            for (int32_t block = 0; block < r->blocks; block += r->kernel->nb) {
                                int nb = r->blocks - block < r->kernel->nb ? 1 : r->kernel->nb;
                                d.a = a + (y * c->stride + ky) * a_row + q * d.word_step +
                                      (ptrdiff_t)m * d.m_step;
                                d.b = packed + (size_t)plane * plane_bytes +
                                      (size_t)block * block_bytes + (size_t)y * d.b_row +
                                      (size_t)q * MLS__LANE * MLS__WORD;
                                d.c = sum.c32 + (size_t)plane * sum.count +
                                      ((size_t)ky * (size_t)r->depth + m) * lanes +
                                      (size_t)block * MLS__LANE;
                                d.c_step = lanes, d.init = d.c, d.init_step = lanes;
                                r->kernel->dot(r->kind, mr, nb, &d);
                            }
                        }
                    }
                }
            }
        }
    }
    memcpy(r->sum + (size_t)sum_index * r->sum_bytes, &sum.terms, sizeof sum.terms);
}

/* All sums together, scaled, to the output [c_out][kh][kw][c_in]; kernel rows ky0 .. ky1 - 1. */
static void mls__run_weight_finish(const mls__run *r, int32_t ky0, int32_t ky1)
{
    const mls_conv *c = &r->c;
    size_t depth = (size_t)c->kw * (size_t)c->in.c, lanes = (size_t)r->blocks * MLS__LANE;
    for (int32_t ky = ky0; ky < ky1; ky++) {
        for (size_t m = 0; m < depth; m++) {
            size_t at = ((size_t)ky * (size_t)r->depth + m) * lanes;
            for (size_t co = 0; co < (size_t)c->c_out; co++) {
                float *to = r->output + (co * (size_t)c->kh + (size_t)ky) * depth + m;
                int64_t acc = 0;
                float z = 0;
                for (int32_t i = 0; i < r->sums; i++) {
                    mls__sum s = mls__sum_at(r, i);
                    if (r->kind == MLS__F32) {
                        float part;
                        memcpy(&part, &s.c32[at + co], 4);
                        z = i ? z + part : part;
                        continue;
                    }
                    acc += s.c64[at + co];
                    if (r->kind == MLS__WIDE) continue;
                    acc += s.c32[at + co];
                    if (r->planes == 2) acc += (int64_t)s.c32[s.count + at + co] * 256;
                    if (r->bias) acc -= (int64_t)r->bias * s.error[co];
                }
                if (r->kind == MLS__WIDE) {
                    if (r->merged) {
                        int32_t ci = (int32_t)(m % (size_t)c->in.c);
                        acc = (int64_t)mls__pair_value(
                            acc, r->first, mls__group(r->first, 0, (int32_t)co), r->second,
                            mls__group(r->second, 0, ci), r->scaling.fraction);
                    }
                    z = mls__finish(acc, r->scaling);
                } else if (r->kind != MLS__F32) {
                    z = (((float)acc * r->fold) * r->scaling.tensor) * r->scaling.units;
                }
                *to = z;
            }
        }
    }
}

/* ----------------------------------------------------------------------------------- >>wide
   Group pair by group pair, 16 outputs side by side, P_g and acc in 64 bits. */

/* acc[lane] += shift(p[lane] * fractions, F - k - k) for the data group g of format f. */
static void mls__wide_add(const mls__run *r, mls_format f, uint32_t g, const int32_t *k,
                          const int32_t *fraction, const int64_t *p, int64_t *acc)
{
    int data_shift = r->scaling.fraction - mls__k(f, g), data_fraction = mls__fraction(f, g);
    for (int lane = 0; lane < MLS__LANE; lane++) {
        int64_t v = p[lane] * (data_fraction * fraction[lane]);
        int shift = data_shift - k[lane];
        if (shift >= 0)
            acc[lane] += (int64_t)((uint64_t)v << shift);
        else
            acc[lane] += v >> (-shift < 63 ? -shift : 63);
    }
}

/* k and fraction of the packed operand's groups, [block][pair][16]. */
static void mls__wide_scales(const mls__run *r)
{
    int32_t pairs = r->merged ? 1 : r->data.c;
    for (int32_t lane = 0; lane < r->blocks * MLS__LANE; lane++) {
        for (int32_t pair = 0; pair < pairs; pair++) {
            int32_t at = (lane / MLS__LANE * pairs + pair) * MLS__LANE + lane % MLS__LANE;
            uint32_t g = 0;
            if (lane < r->lanes) {
                g = r->direction == MLS_FORWARD ? mls__group(r->first, lane, pair)
                                                : mls__group(r->first, pair, lane);
            }
            r->wide_k[at] = mls__k(r->first->format, g);
            r->wide_m[at] = mls__fraction(r->first->format, g);
        }
    }
}

static void mls__run_wide(const mls__run *r, int32_t n, const int32_t *image, mls__phase p,
                          const uint8_t *packed, float *to)
{
    int32_t side_w = r->direction == MLS_FORWARD ? r->out.w : r->c.in.w;
    int32_t pairs = r->merged ? 1 : r->data.c, c = r->data.c;
    /* A pair of its own for each channel walks over the taps of that channel only. */
    int32_t cols = r->merged ? p.taps_x * c : p.taps_x, col_step = r->merged ? 1 : c;
    size_t row_lanes = (size_t)(r->merged ? r->taps_x * c : r->taps_x) * MLS__LANE;
    size_t pair_lanes = (size_t)r->taps_y * row_lanes;
    for (int32_t y = 0; y < p.h; y++)
        for (int32_t x = 0; x < p.w; x++) {
            const int32_t *a = image + ((size_t)(p.row + y * p.stride) * (size_t)r->cols +
                                        (size_t)(p.col + x * p.stride)) *
                                           (size_t)c;
            float *out =
                to + ((size_t)(p.y + y * p.step) * (size_t)side_w + (size_t)(p.x + x * p.step)) *
                         (size_t)r->lanes;
            for (int32_t block = 0; block < r->blocks; block++) {
                const int32_t *b = (const int32_t *)(const void *)packed +
                                   (size_t)block * (size_t)pairs * pair_lanes;
                int64_t acc[MLS__LANE] = {0};
                for (int32_t pair = 0; pair < pairs; pair++) {
                    int64_t sum[MLS__LANE] = {0};
                    size_t at = (size_t)(block * pairs + pair) * MLS__LANE;
                    for (int32_t row = 0; row < p.taps_y; row++) {
                        r->kernel->wide(a + pair + (ptrdiff_t)row * r->cols * c, 0, col_step,
                                        b + (size_t)pair * pair_lanes + (size_t)row * row_lanes, 1,
                                        cols, sum);
                    }
                    mls__wide_add(r, r->second->format, mls__group(r->second, n, pair),
                                  r->wide_k + at, r->wide_m + at, sum, acc);
                }
                for (int32_t i = 0; i < MLS__LANE && block * MLS__LANE + i < r->lanes; i++) {
                    out[block * MLS__LANE + i] = mls__finish(acc[i], r->scaling);
                }
            }
        }
}

static void mls__weight_wide(const mls__run *r, int32_t n, const int32_t *image, const int32_t *e,
                             mls__sum *sum)
{
    const mls_conv *c = &r->c;
    int32_t ci = r->data.c, depth = c->kw * ci;
    size_t lanes = (size_t)r->blocks * MLS__LANE;
    for (int32_t block = 0; block < r->blocks; block++) {
        const int32_t *b = e + (size_t)block * (size_t)r->out.h * (size_t)r->out.w * MLS__LANE;
        int32_t k[MLS__LANE], fraction[MLS__LANE];
        for (int32_t i = 0; i < MLS__LANE; i++) {
            int32_t lane = block * MLS__LANE + i;
            uint32_t g = lane < r->lanes ? mls__group(r->first, n, lane) : 0;
            k[i] = mls__k(r->first->format, g), fraction[i] = mls__fraction(r->first->format, g);
        }
        for (int32_t ky = 0; ky < c->kh; ky++)
            for (int32_t m = 0; m < depth; m++) {
                int64_t p[MLS__LANE] = {0};
                int64_t *acc = sum->c64 + ((size_t)ky * (size_t)r->depth + (size_t)m) * lanes +
                               (size_t)block * MLS__LANE;
                r->kernel->wide(image + (ptrdiff_t)ky * r->cols * ci + m,
                                (ptrdiff_t)c->stride * r->cols * ci, (ptrdiff_t)c->stride * ci, b,
                                r->out.h, r->out.w, p);
                if (r->merged) {
                    for (int i = 0; i < MLS__LANE; i++) acc[i] += p[i];
                } else {
                    mls__wide_add(r, r->second->format, mls__group(r->second, n, m % ci), k,
                                  fraction, p, acc);
                }
            }
    }
}

/* --------------------------------------------------------------------------------- >>public */

/* Chooses the class of an integer convolution from what the tensors really hold. */
static mls_status mls__run_choose(mls__run *r, const mls_conv *conv, mls_direction direction,
                                  const mls_tensor *first, const mls_tensor *second, int by_peak)
{
    mls_conv c = mls__conv_defaults(conv);
    int k1 = mls__k_used(first, by_peak), k2 = mls__k_used(second, by_peak);
    uint64_t b, a;
    int kind;
    if (k1 < 0 || k2 < 0) return MLS_ERROR_FORMAT;
    b = mls__folded_max(first->format, k1), a = mls__folded_max(second->format, k2);
    kind = mls__unit() ? mls__class(&c, direction, first->format, second->format, a, b)
                       : MLS__REFERENCE;
    mls__run_begin(r, &c, direction, kind);
    r->first = first, r->second = second;
    r->scaling = mls__scaling_make(first, second);
    if (!((mls__bits(r->scaling.tensor) & 0x7fffffffu) < 0x7f800000u)) return MLS_ERROR_NONFINITE;
    r->k1 = k1, r->k2 = k2;
    if (kind == MLS__S8) {
        r->bias = r->kernel->bias;
        r->segment = INT32_MAX / (255 * 127);
    } else if (kind == MLS__S16) {
        r->segment = (int64_t)(INT32_MAX / (a * b));
        if (r->segment < 64) {
            r->planes = 2; /* hi and lo are at most 128 */
            r->segment = (int64_t)(INT32_MAX / (a * 128));
        }
    }
    if (kind == MLS__S8 || kind == MLS__S16) r->fold = mls__pow2(r->scaling.fraction - k1 - k2);
    if (direction == MLS_FORWARD) r->merged = !mls__scaled_c(first) && !mls__scaled_c(second);
    if (direction == MLS_BACKWARD_DATA) r->merged = !mls__scaled_n(first) && !mls__scaled_c(second);
    if (direction == MLS_BACKWARD_WEIGHT)
        r->merged = !mls__scaled_n(first) && !mls__scaled_n(second);
    return MLS_OK;
}

/* Work before the first image and after the last. */
static void mls__run_first(mls__run *r)
{
    if (r->direction == MLS_BACKWARD_WEIGHT) {
        memset(r->sum, 0, (size_t)r->sums * r->sum_bytes);
    } else {
        mls__pack_weights(r);
        if (r->kind == MLS__WIDE) mls__wide_scales(r);
    }
}

/* The block of images that image n belongs to, in n images. */
MLS__INLINE int32_t mls__block_first(int32_t block, int32_t blocks, int32_t n)
{
    return (int32_t)((int64_t)block * n / blocks);
}

static void mls__run_all(mls__run *r)
{
    int32_t n = r->out.n;
    size_t image = mls__image(r->direction == MLS_FORWARD ? r->out : r->c.in);
    /* below about a tenth of a millisecond threads cost more than they give */
    int many = mls__elements(r->out) * mls__image(mls__weight_shape(&r->c)) > 1 << 22;
    mls__run_first(r);
    (void)many; /* without OpenMP */
    if (r->direction != MLS_BACKWARD_WEIGHT) {
        MLS__OMP(omp parallel for schedule(static) num_threads(r->slots) if (many))
        for (int32_t i = 0; i < n; i++)
            mls__run_image(r, i, MLS__THREAD(), r->output + (size_t)i * image);
    } else {
        int32_t blocks = n < MLS__BLOCKS ? n : MLS__BLOCKS;
        MLS__OMP(omp parallel for schedule(static) num_threads(r->slots) if (many))
        for (int32_t b = 0; b < blocks; b++) {
            int32_t last = mls__block_first(b + 1, blocks, n);
            for (int32_t i = mls__block_first(b, blocks, n); i < last; i++) {
                mls__run_weight_image(r, i, MLS__THREAD(), r->kind == MLS__F32 ? b : MLS__THREAD());
            }
        }
        MLS__OMP(omp parallel for schedule(static) num_threads(r->slots) if (many))
        for (int32_t ky = 0; ky < r->c.kh; ky++) mls__run_weight_finish(r, ky, ky + 1);
    }
}

static int mls__same_shape(mls_shape a, mls_shape b)
{
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

static mls_status mls__conv_integer(const mls_conv *conv, mls_direction direction,
                                    const mls_tensor *first, const mls_tensor *second,
                                    float *output, void *workspace, size_t size)
{
    mls__run r;
    mls_shape out, weight, s1, s2;
    mls_status status;
    mls_conv c;
    if (!conv || !first || !second || !output) return MLS_ERROR_ARGUMENT;
    if (!first->code || !first->group || !second->code || !second->group) return MLS_ERROR_ARGUMENT;
    c = mls__conv_defaults(conv);
    out = mls_conv_output(&c);
    if (!out.n) return MLS_ERROR_SHAPE;
    weight = mls__weight_shape(&c);
    s1 = direction == MLS_BACKWARD_WEIGHT ? out : weight;
    s2 = direction == MLS_BACKWARD_DATA ? out : c.in;
    if (!mls__same_shape(first->shape, s1) || !mls__same_shape(second->shape, s2)) {
        return MLS_ERROR_SHAPE;
    }
    status = mls_conv_check(&c, direction, first->format, second->format, 0, 0);
    if (status != MLS_OK) return status;
    status = mls__run_choose(&r, &c, direction, first, second, 0);
    if (status != MLS_OK) return status;
    r.output = output;
    if (r.kind == MLS__REFERENCE) {
        int32_t n = out.n;
        size_t image = mls__image(direction == MLS_FORWARD ? out : c.in);
        if (direction == MLS_BACKWARD_WEIGHT) {
            mls__backward_weight_reference(&c, first, second, output);
            return MLS_OK;
        }
        MLS__OMP(omp parallel for schedule(static))
        for (int32_t i = 0; i < n; i++) {
            float *to = output + (size_t)i * image;
            if (direction == MLS_FORWARD)
                mls__forward_image(&c, first, second, i, to);
            else
                mls__backward_data_image(&c, first, second, i, to);
        }
        return MLS_OK;
    }
    status = mls__run_place(&r, workspace, size, MLS__THREADS());
    if (status == MLS_OK) mls__run_all(&r);
    return status;
}

static mls_status mls__conv_fp32(const mls_conv *conv, mls_direction direction, const float *first,
                                 const float *second, float *output, void *workspace, size_t size)
{
    mls__run r;
    mls_status status;
    if (!conv || !first || !second || !output) return MLS_ERROR_ARGUMENT;
    if (!mls_conv_output(conv).n) return MLS_ERROR_SHAPE;
    mls__run_begin(&r, conv, direction, MLS__F32);
    r.first32 = first, r.second32 = second, r.output = output;
    status = mls__run_place(&r, workspace, size, MLS__THREADS());
    if (status == MLS_OK) mls__run_all(&r);
    return status;
}

MLS_DEF mls_status mls_conv_forward(const mls_conv *conv, const mls_tensor *weight,
                                    const mls_tensor *input, float *output, void *workspace,
                                    size_t size)
{
    return mls__conv_integer(conv, MLS_FORWARD, weight, input, output, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_data(const mls_conv *conv, const mls_tensor *weight,
                                          const mls_tensor *error, float *dinput, void *workspace,
                                          size_t size)
{
    return mls__conv_integer(conv, MLS_BACKWARD_DATA, weight, error, dinput, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_weight(const mls_conv *conv, const mls_tensor *error,
                                            const mls_tensor *input, float *dweight,
                                            void *workspace, size_t size)
{
    return mls__conv_integer(conv, MLS_BACKWARD_WEIGHT, error, input, dweight, workspace, size);
}

MLS_DEF mls_status mls_conv_forward_fp32(const mls_conv *conv, const float *weight,
                                         const float *input, float *output, void *workspace,
                                         size_t size)
{
    return mls__conv_fp32(conv, MLS_FORWARD, weight, input, output, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_data_fp32(const mls_conv *conv, const float *weight,
                                               const float *error, float *dinput, void *workspace,
                                               size_t size)
{
    return mls__conv_fp32(conv, MLS_BACKWARD_DATA, weight, error, dinput, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_weight_fp32(const mls_conv *conv, const float *error,
                                                 const float *input, float *dweight,
                                                 void *workspace, size_t size)
{
    return mls__conv_fp32(conv, MLS_BACKWARD_WEIGHT, error, input, dweight, workspace, size);
}

MLS_DEF int mls_kernel_count(void)
{
    return mls__units_here();
}

MLS_DEF const char *mls_kernel_name(int index)
{
    return index >= 0 && index < mls_kernel_count() ? mls__unit_names[index] : 0;
}

MLS_DEF const char *mls_kernel_used(void)
{
    return mls__unit_names[mls__unit()];
}

MLS_DEF mls_status mls_kernel_use(const char *name)
{
    if (!name) return MLS_ERROR_ARGUMENT;
    for (int i = mls_kernel_count() - 1; i >= 0; i--) {
        if (strcmp(name, mls__unit_names[i]) != 0 && strcmp(name, "auto") != 0) continue;
        mls__unit_chosen = i + 1;
        return MLS_OK;
    }
    return MLS_ERROR_KERNEL;
}

#endif /* MLS__CONV_IMPLEMENTED */
#endif /* MLS_IMPLEMENTATION */

/* ------------------------------------------------------------------------------- >>template
   Instantiated for every vector unit. A unit brings the two integer dot products; the rest is
   common. Vectors are typed as int32 and reinterpreted. */
#elif MLS__LANES > 1

enum {
    MLS__FN(mls__parts) = MLS__LANE / MLS__LANES
}; /* vectors of a block of 16 lanes */

/* acc + the products of the four bytes of each lane. On VNNI a is unsigned; elsewhere both are
   signed and at most 127, so that no pair of products can saturate: 2 * 127 * 127 < 32768. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot8)(MLS__I acc, MLS__I a, MLS__I b)
{
#if MLS__LANES == 16
    return (MLS__I)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif MLS__LANES == 8
    __m256i pairs =
        _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)a), _mm256_sign_epi8((__m256i)b, (__m256i)a));
    return acc + (MLS__I)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
    __m128i pairs =
        _mm_maddubs_epi16(_mm_abs_epi8((__m128i)a), _mm_sign_epi8((__m128i)b, (__m128i)a));
    return acc + (MLS__I)_mm_madd_epi16(pairs, _mm_set1_epi16(1));
#endif
}

/* acc + the products of the two int16 of each lane. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot16)(MLS__I acc, MLS__I a, MLS__I b)
{
#if MLS__LANES == 16
    return (MLS__I)_mm512_dpwssd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif MLS__LANES == 8
    return acc + (MLS__I)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return acc + (MLS__I)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}

/* The micro-kernel. kind, mr and nb are constants of each instance. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__tile)(int kind, int mr, int nb, const mls__dot *d)
{
    enum {
        PARTS = MLS__FN(mls__parts)
    };
    MLS__I acc[MLS__ROWS][2 * PARTS];
    const ptrdiff_t step = d->m_step, row_step = d->row_step, word_step = d->word_step;
    const size_t b_row = d->b_row, b_block = d->b_block;
    const int32_t rows = d->rows, words = d->words;
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        MLS__UNROLL
        for (int v = 0; v < nb * PARTS; v++) {
            acc[m][v] =
                MLS__BITS(MLS__LOAD(d->init + (size_t)m * d->init_step + (size_t)(v * MLS__LANES)));
        }
    }
    for (int32_t row = 0; row < rows; row++) {
        /* three pointers and one step reach all rows with scaled addressing */
        const uint8_t *a0 = d->a + row * row_step, *a3 = a0 + 3 * step, *a6 = a0 + 6 * step;
        const uint8_t *b = d->b + (size_t)row * b_row;
        for (int32_t word = 0; word < words; word++) {
            MLS__I bv[2 * PARTS];
            MLS__UNROLL
            for (int v = 0; v < nb * PARTS; v++) {
                bv[v] = MLS__BITS(MLS__LOAD(b + (size_t)(v / PARTS) * b_block +
                                            (size_t)(v % PARTS * MLS__LANES * MLS__WORD)));
            }
            MLS__UNROLL
            for (int m = 0; m < mr; m++) {
                int32_t w;
                MLS__I av;
                memcpy(&w, (m < 3 ? a0 : m < 6 ? a3 : a6) + m % 3 * step, sizeof w);
                av = MLS__SETI(w);
                MLS__UNROLL
                for (int v = 0; v < nb * PARTS; v++) {
                    if (kind == MLS__S8) {
                        acc[m][v] = MLS__FN(mls__dot8)(acc[m][v], av, bv[v]);
                    } else if (kind == MLS__S16) {
                        acc[m][v] = MLS__FN(mls__dot16)(acc[m][v], av, bv[v]);
                    } else {
                        acc[m][v] = MLS__BITS(
                            MLS__FMA(MLS__FLOAT(av), MLS__FLOAT(bv[v]), MLS__FLOAT(acc[m][v])));
                    }
                }
            }
            a0 += word_step, a3 += word_step, a6 += word_step, b += MLS__LANE * MLS__WORD;
        }
    }
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        MLS__UNROLL
        for (int v = 0; v < nb * PARTS; v++) {
            MLS__STORE(d->c + (size_t)m * d->c_step + (size_t)(v * MLS__LANES),
                       MLS__FLOAT(acc[m][v]));
        }
    }
}

MLS__INLINE MLS__TARGET void MLS__FN(mls__dot_kind)(int kind, int mr, int nb, const mls__dot *d)
{
#if MLS__LANES == 16
    if (nb == 2 && mr == 8)
        MLS__FN(mls__tile)(kind, 8, 2, d);
    else if (nb == 2 && mr == 4)
        MLS__FN(mls__tile)(kind, 4, 2, d);
    else if (nb == 2 && mr == 2)
        MLS__FN(mls__tile)(kind, 2, 2, d);
    else if (nb == 2)
        MLS__FN(mls__tile)(kind, 1, 2, d);
    else if (mr == 8)
        MLS__FN(mls__tile)(kind, 8, 1, d);
    else
#endif
#if MLS__LANES >= 8
        if (mr == 4)
        MLS__FN(mls__tile)(kind, 4, 1, d);
    else
#endif
        if (mr == 2)
        MLS__FN(mls__tile)(kind, 2, 1, d);
    else
        MLS__FN(mls__tile)(kind, 1, 1, d);
    (void)nb;
}

static MLS__TARGET void MLS__FN(mls__dot)(int kind, int mr, int nb, const mls__dot *d)
{
    if (kind == MLS__S8)
        MLS__FN(mls__dot_kind)(MLS__S8, mr, nb, d);
    else if (kind == MLS__S16)
        MLS__FN(mls__dot_kind)(MLS__S16, mr, nb, d);
    else
        MLS__FN(mls__dot_kind)(MLS__F32, mr, nb, d);
}

typedef uint8_t MLS__FN(mls__bytes) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint16_t MLS__FN(mls__words) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint8_t MLS__FN(mls__half8) __attribute__((vector_size(2 * MLS__LANES)));
typedef int8_t MLS__FN(mls__some8) __attribute__((vector_size(2 * MLS__LANES)));
typedef int16_t MLS__FN(mls__some16) __attribute__((vector_size(4 * MLS__LANES)));

/* Byte i of the result is table[code[i]]; codes are below 16. */
MLS__INLINE MLS__TARGET MLS__FN(mls__bytes)
    MLS__FN(mls__lookup)(MLS__FN(mls__bytes) table, MLS__FN(mls__bytes) code)
{
#if MLS__LANES == 16
    return (MLS__FN(mls__bytes))_mm512_shuffle_epi8((__m512i)table, (__m512i)code);
#elif MLS__LANES == 8
    return (MLS__FN(mls__bytes))_mm256_shuffle_epi8((__m256i)table, (__m256i)code);
#else
    return (MLS__FN(mls__bytes))_mm_shuffle_epi8((__m128i)table, (__m128i)code);
#endif
}

/* Codes of up to 4 bits become integers by a table. Returns how many elements it did. */
MLS__INLINE MLS__TARGET size_t MLS__FN(mls__fold_nibbles)(const mls__fold *f, size_t first,
                                                          size_t count, size_t *channel, int size,
                                                          uint8_t *to)
{
    enum {
        STEP = 4 * MLS__LANES
    }; /* at most MLS__AHEAD */
    int8_t values[STEP];
    size_t i = 0, ch = *channel, channels = f->channels;
    MLS__FN(mls__bytes) table;
    int codes = 2 << (f->format.ex + f->format.mx);
    for (int j = 0; j < STEP; j++) {
        values[j] = (int8_t)mls__grid_signed(f->format, (uint32_t)(j % 16 % codes));
    }
    memcpy(&table, values, sizeof table);
    for (; i + STEP <= count; i += STEP) {
        MLS__FN(mls__half8) packed;
        MLS__FN(mls__some8) half;
        MLS__FN(mls__words) pair;
        MLS__FN(mls__bytes) q;
        memcpy(&packed, f->code + (first + i) / 2, sizeof packed);
        pair = __builtin_convertvector(packed, MLS__FN(mls__words));
        pair = (pair | pair << 4) & 0x0f0f;
        memcpy(&q, &pair, sizeof q);
        q = MLS__FN(mls__lookup)(table, q);
        for (size_t j = 0; j < 2; j++) {
            MLS__FN(mls__some16) wide, by;
            memcpy(&half, (const char *)&q + j * sizeof half, sizeof half);
            memcpy(&by, f->multiplier + ch + j * (STEP / 2), sizeof by);
            wide = __builtin_convertvector(half, MLS__FN(mls__some16)) * by;
            if (size == 1) {
                half = __builtin_convertvector(wide ^ (int16_t)f->flip, MLS__FN(mls__some8));
                memcpy(to + i + j * sizeof half, &half, sizeof half);
            } else {
                memcpy(to + 2 * i + j * sizeof wide, &wide, sizeof wide);
            }
        }
        ch += STEP;
        if (ch >= channels) ch = ch < 2 * channels ? ch - channels : ch % channels;
    }
    *channel = ch;
    return i;
}

static MLS__TARGET void MLS__FN(mls__fold)(const mls__fold *f, size_t first, size_t count,
                                           size_t ch, int size, uint8_t *to)
{
    int bits = 1 + f->format.ex + f->format.mx, mx = f->format.mx, sign = bits - 1;
    int32_t m_mask = (1 << mx) - 1, e_mask = (1 << f->format.ex) - 1;
    size_t i = 0, channels = f->channels;
    MLS__I zero = MLS__SETI(0);
    MLS__FN(mls__u16) by;
    if (bits <= 4 && first % 2) { /* a row that starts in the middle of a byte */
        mls__fold_scalar(f, first, count, ch, size, to);
        return;
    }
    if (bits <= 4 && size < 4) i = MLS__FN(mls__fold_nibbles)(f, first, count, &ch, size, to);
    for (; i + MLS__LANES <= count; i += MLS__LANES) {
        MLS__I code, e, m, q;
        if (bits <= 4) {
            typedef uint8_t half __attribute__((vector_size(MLS__LANES / 2)));
            MLS__FN(mls__u64) pair;
            half bytes;
            memcpy(&bytes, f->code + (first + i) / 2, sizeof bytes);
            pair = __builtin_convertvector(bytes, MLS__FN(mls__u64));
            pair = (pair | pair << 28) & 0x0000000f0000000fu;
            memcpy(&code, &pair, sizeof code);
        } else if (bits <= 8) {
            MLS__FN(mls__u8) bytes;
            memcpy(&bytes, f->code + first + i, sizeof bytes);
            code = __builtin_convertvector(bytes, MLS__I);
        } else {
            MLS__FN(mls__u16) words;
            memcpy(&words, f->code + 2 * (first + i), sizeof words);
            code = __builtin_convertvector(words, MLS__I);
        }
        m = code & m_mask, e = (code >> mx) & e_mask;
        q = m;
        if (f->format.ex) q = MLS__WHERE(e, (m | MLS__SETI(1 << mx)) << MLS__MAXI(e - 1, zero), m);
        memcpy(&by, f->multiplier + ch, sizeof by);
        q = q * __builtin_convertvector(by, MLS__I);
        e = zero - (code >> sign); /* all ones where negative */
        q = (q ^ e) - e;
        if (size == 1) {
            MLS__FN(mls__u8)
            bytes = __builtin_convertvector(q ^ (int32_t)f->flip, MLS__FN(mls__u8));
            memcpy(to + i, &bytes, sizeof bytes);
        } else if (size == 2) {
            MLS__FN(mls__u16) words = __builtin_convertvector(q, MLS__FN(mls__u16));
            memcpy(to + 2 * i, &words, sizeof words);
        } else {
            memcpy(to + 4 * i, &q, sizeof q);
        }
        ch += MLS__LANES;
        if (ch >= channels) ch = ch < 2 * channels ? ch - channels : ch % channels;
    }
    mls__fold_scalar(f, first + i, count - i, ch, size, to + i * (size_t)size);
}

static MLS__TARGET void MLS__FN(mls__interleave)(const mls__mix_pixels *x)
{
    size_t each = (size_t)(MLS__WORD / x->size);
    for (size_t step = 0; step < x->steps; step++) {
        const uint8_t *from[MLS__WORD];
        uint8_t *to = x->to + step * x->to_step;
        size_t i = 0;
        for (size_t j = 0; j < each; j++) from[j] = mls__mix_pixel(x, step * each + j);
        for (; i + MLS__LANES <= x->count; i += MLS__LANES) {
            MLS__FN(mls__u32) word;
            if (x->size == 1) {
                MLS__FN(mls__u8) p0, p1, p2, p3;
                memcpy(&p0, from[0] + i, sizeof p0);
                memcpy(&p1, from[1] + i, sizeof p1);
                memcpy(&p2, from[2] + i, sizeof p2);
                memcpy(&p3, from[3] + i, sizeof p3);
                word = __builtin_convertvector(p0, MLS__FN(mls__u32)) |
                       __builtin_convertvector(p1, MLS__FN(mls__u32)) << 8 |
                       __builtin_convertvector(p2, MLS__FN(mls__u32)) << 16 |
                       __builtin_convertvector(p3, MLS__FN(mls__u32)) << 24;
            } else if (x->size == 2) {
                MLS__FN(mls__u16) p0, p1;
                memcpy(&p0, from[0] + 2 * i, sizeof p0);
                memcpy(&p1, from[1] + 2 * i, sizeof p1);
                word = __builtin_convertvector(p0, MLS__FN(mls__u32)) |
                       __builtin_convertvector(p1, MLS__FN(mls__u32)) << 16;
            } else {
                memcpy(&word, from[0] + 4 * i, sizeof word);
            }
            memcpy(to + i * MLS__WORD, &word, sizeof word);
        }
        if (i < x->count) mls__mix_rest(x, step, i);
    }
}

static MLS__TARGET void MLS__FN(mls__split)(const int16_t *v, int16_t *hi, int16_t *lo,
                                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int h = (v[i] + 128) >> 8, l = v[i] - h * 256;
        hi[i] = (int16_t)h, lo[i] = (int16_t)l; /* lo may be v */
    }
}

static MLS__TARGET void MLS__FN(mls__emit)(const int32_t *c, size_t c_step, int32_t count,
                                           size_t lanes, float fold, float tensor, float units,
                                           float *out, size_t out_step)
{
    for (int32_t m = 0; m < count; m++) {
        for (size_t i = 0; i < lanes; i += MLS__LANES) {
            MLS__F z = MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(c + (size_t)m * c_step + i)));
            z = z * MLS__SET(fold);
            z = z * MLS__SET(tensor);
            z = z * MLS__SET(units);
            if (lanes - i >= MLS__LANES)
                MLS__STORE(out + (size_t)m * out_step + i, z);
            else
                MLS__STORE_N(out + (size_t)m * out_step + i, z, lanes - i);
        }
    }
}

/* p[lane] += sum over rows, cols of a * b[lane]; gcc and clang make vectors of the inner loop. */
static MLS__TARGET void MLS__FN(mls__wide)(const int32_t *a, ptrdiff_t row_step, ptrdiff_t col_step,
                                           const int32_t *b, int32_t rows, int32_t cols, int64_t *p)
{
    int64_t sum[MLS__LANE];
    memcpy(sum, p, sizeof sum);
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t col = 0; col < cols; col++, b += MLS__LANE) {
            int64_t av = a[row * row_step + col * col_step];
            for (int i = 0; i < MLS__LANE; i++) sum[i] += av * b[i];
        }
    }
    memcpy(p, sum, sizeof sum);
}

#endif /* template */
