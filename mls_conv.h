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
       mls_conv conv = {0};
       conv.in = shape;                         [n][h][w][c_in]
       conv.c_out = 32, conv.kh = conv.kw = 3, conv.pad = 1;
       size_t size = mls_conv_workspace(&conv, weight.format, a.format);
       ...
       mls_conv_forward(&conv, &weight, &a, output, workspace, size);

   HOW IT IS FAST
       Multiplying by a power of two is exact, so group scales are folded into the elements:
       w' = sign * q * (2^mg + m) * 2^(K-k), K the largest k in use. Where that fits 8 or 16 bits,
       one micro-kernel body (>>template) sums plain integers with the CPU's dot products, or with
       AMX tiles, where int16 is two planes of bytes. What needs up to 30 bits goes in two planes of
       16; where a shift would round, group pairs are summed one by one and shifted into 64 bits; the
       few that need more go through the reference. fp32 runs through the same body, one float where
       four int8 stand. Each of these ways is a row of a table (>>methods), and the first that fits
       is taken. Whoever calls the same convolution often prepares its operands (mls_operand).
       docs/PERFORMANCE.md has the measurements behind this.

   MEMORY AND THREADS
       Nothing is allocated: the workspace is the caller's, any alignment, not shared by calls that
       run at the same time. With OpenMP the images of a batch are shared out to threads.
       AMX tiles are configured and released by each call: a configuration of the caller's own does
       not outlast it.

   SECTIONS (search for ">>name")
       >>api  >>check  >>reference  >>kernels  >>call  >>fold  >>pack  >>data  >>pairs  >>amx
       >>backward-weight  >>backward-weight-amx  >>depthwise  >>methods  >>groups  >>seam  >>operands
       >>public  >>template
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

/* A convolution: in is the input [n][h][w][c_in]; the weights are [c_out][kh][kw][c_in / groups].
   What is zero behind c_out, kh and kw has its default.

   groups cut the channels of both sides into so many equal parts, and part i of the output sees part
   i of the input only; with c_in of them it is depthwise. Taps are dilation pixels apart. The groups
   of a format (MLS_GROUP_C ...) are another thing: they belong to a tensor as a whole, [n][h][w][c_in]
   or the weights, and do not end where a group of channels ends.

   TensorFlow's SAME is out = ceil(in / stride), and what (out - 1) * stride + (k - 1) * dilation + 1
   exceeds in by, half on either side, with an odd one at the bottom and at the right. */
typedef struct mls_conv {
    mls_shape in;
    int32_t c_out, kh, kw;
    int32_t stride;                                   /* both directions; 0 means 1 */
    int32_t pad;                                      /* zeros on every side */
    int32_t groups;                                   /* 0 means 1 */
    int32_t stride_h, stride_w;                       /* 0: stride */
    int32_t dilation_h, dilation_w;                   /* 0 means 1 */
    int32_t pad_top, pad_left, pad_bottom, pad_right; /* zeros on this side, besides pad */
} mls_conv;

/* Shape of the output, h = (in.h + paddings - (kh - 1) * dilation_h - 1) / stride_h + 1; all zero if
   the convolution is bad. */
MLS_DEF mls_shape mls_conv_output(const mls_conv *conv);

/* Why it is bad, as a phrase like "its stride must be positive"; null: it is not. */
MLS_DEF const char *mls_conv_wrong(const mls_conv *conv);

/* Shape of the weights; all zero if the convolution is bad. */
MLS_DEF mls_shape mls_conv_weight_shape(const mls_conv *conv);

/* The first image of one of the blocks into which n images are cut where floats are summed: there are
   min(n, MLS_CONV_BLOCKS). */
enum {
    MLS_CONV_BLOCKS = 8
};
MLS_DEF int32_t mls_conv_block_first(int32_t block, int32_t n);

typedef enum {
    MLS_FORWARD,
    MLS_BACKWARD_DATA,
    MLS_BACKWARD_WEIGHT
} mls_direction;

/* Whether the sums of this shape and these formats fit the widest accumulator (127 bits; 63 where
   the compiler has no 128-bit integer). first is the weights' format, in MLS_BACKWARD_WEIGHT the
   error's. Errors: ARGUMENT, SHAPE, FORMAT, RANGE: they do not; text, if not null, says which bound
   failed, or what is wrong with the shape. */
MLS_DEF mls_status mls_conv_check(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, char *text, size_t size);

/* How the kernel in use carries a convolution of these formats out (all-zero: fp32), and why, as a
   line of text. Tensors whose groups use fewer exponents than the format has may go a faster way.
   Errors: as mls_conv_check. */
MLS_DEF mls_status mls_conv_explain(const mls_conv *conv, mls_direction direction, mls_format first,
                                    mls_format second, char *text, size_t size);

/* Bytes of workspace that any of the three convolutions needs with these formats (all-zero formats:
   the fp32 convolutions) and the current number of OpenMP threads; 0 for a bad argument. With less
   (mls_conv_workspace for one thread is the least) fewer threads are used. */
MLS_DEF size_t mls_conv_workspace(const mls_conv *conv, mls_format weight, mls_format activation);

/* Z = W * A. weight [c_out][kh][kw][c_in], activation as conv->in, output as mls_conv_output.
   The scalar kernel does not touch the workspace.
   Errors of all three: ARGUMENT, SHAPE (a tensor does not match conv), FORMAT (also a group code
   with S_g > 1 or k too large), RANGE (see mls_conv_check), NONFINITE (the product of the scales
   overflows), MEMORY (workspace too small), FLOATS.
   On an error the output is untouched. */
MLS_DEF mls_status mls_conv_forward(const mls_conv *conv, const mls_tensor *weight,
                                    const mls_tensor *activation, float *output, void *workspace,
                                    size_t size);

/* dA = W^T * E. error as mls_conv_output, dinput as conv->in. */
MLS_DEF mls_status mls_conv_backward_data(const mls_conv *conv, const mls_tensor *weight,
                                          const mls_tensor *error, float *dinput, void *workspace,
                                          size_t size);

/* G = E * A. dweight [c_out][kh][kw][c_in]. */
MLS_DEF mls_status mls_conv_backward_weight(const mls_conv *conv, const mls_tensor *error,
                                            const mls_tensor *activation, float *dweight,
                                            void *workspace, size_t size);

/* The same three in fp32, for layers that stay unquantized. Each output is one chain of fused
   multiply-adds from +0 in a fixed order: forward ky, kx, ci; backward-data ky and kx downwards,
   co; backward-weight the images of a block, y, x (n is cut into min(n, 8) blocks), and then the
   blocks are added in order. Rows of taps in the padding are left out; other taps there multiply
   zeros. */
MLS_DEF mls_status mls_conv_forward_fp32(const mls_conv *conv, const float *weight,
                                         const float *activation, float *output, void *workspace,
                                         size_t size);
MLS_DEF mls_status mls_conv_backward_data_fp32(const mls_conv *conv, const float *weight,
                                               const float *error, float *dinput, void *workspace,
                                               size_t size);
MLS_DEF mls_status mls_conv_backward_weight_fp32(const mls_conv *conv, const float *error,
                                                 const float *activation, float *dweight,
                                                 void *workspace, size_t size);

/* A network calls the same convolutions thousands of times. An operand is a tensor in the layout
   that the kernels want, elements folded with their group scales, so that nothing is unpacked and
   folded again: weights serve forward and backward-data, the activation forward and backward-weight, the
   error backward-data and backward-weight. The results are the same bits as through tensors. */
typedef enum {
    MLS_WEIGHT,
    MLS_ACTIVATION,
    MLS_ERROR
} mls_role;

typedef struct mls_operand {
    mls_conv conv;
    mls_role role;
    int32_t bits;           /* of its integers */
    int32_t kernel;         /* it was made for */
    mls_tensor tensor;      /* format, shape, scale, groups; code is null */
    uint8_t *data;          /* the caller's memory, aligned */
    int64_t row_largest[2]; /* weights: what bounds 32-bit sums */
} mls_operand;

/* Bits that hold the elements of a format, folded: 8 or 16, or 0 where they need more. The operands
   of a convolution must have the same number: the larger one of theirs. */
MLS_DEF int32_t mls_operand_bits(mls_format format);

/* Bytes that mls_operand_init needs, at any alignment, with the kernel in use; 0 for a bad
   argument. */
MLS_DEF size_t mls_operand_size(const mls_conv *conv, mls_role role, mls_format format,
                                int32_t bits);

/* Lays an operand of zeros out in memory, for the kernel in use. Errors: ARGUMENT (also bits that
   are not 8 or 16), FORMAT (that do not hold the format), SHAPE, MEMORY (size too small). */
MLS_DEF mls_status mls_operand_init(mls_operand *operand, const mls_conv *conv, mls_role role,
                                    mls_format format, int32_t bits, void *memory, size_t size);

/* Quantizes x straight into the layout, as mls_quantize does. Errors: as there (the operand stays
   as it was), KERNEL (another one is in use now). */
MLS_DEF mls_status mls_operand_quantize(mls_operand *operand, const float *x, uint64_t seed);

/* Takes over a tensor of the operand's format and shape. Errors: ARGUMENT, FORMAT, SHAPE, KERNEL. */
MLS_DEF mls_status mls_operand_load(mls_operand *operand, const mls_tensor *tensor);

/* The three convolutions of prepared operands: first is W, or E in MLS_BACKWARD_WEIGHT; second is A,
   or E in MLS_BACKWARD_DATA. workspace: mls_conv_workspace of their formats. Errors: as with
   tensors, and FORMAT where the operands differ in bits, KERNEL (another one is in use now), RANGE
   where sums of 8-bit operands do not fit 32 bits (over 66,000 terms): take 16 bits. */
MLS_DEF mls_status mls_conv_prepared(const mls_conv *conv, mls_direction direction,
                                     const mls_operand *first, const mls_operand *second,
                                     float *output, void *workspace, size_t size);

/* The convolutions in stages, for those who have the images of a batch one by one, from threads of
   their own: begin, then each image once, then end. The functions above are these.

   Where an operand comes from; one of the pointers is not null. */
typedef struct mls_conv_call mls_conv_call; /* in the memory that mls_conv_begin is given */
typedef struct mls_source {
    const mls_tensor *tensor; /* packed */
    size_t step;     /* 0: one tensor. Otherwise each image of the second operand is a tensor
                                 of its own with n = 1, so many bytes after the one before. Not in
                                 MLS_BACKWARD_WEIGHT */
    int32_t pending; /* 1: tensor->peak, scale and groups are there, the codes of an image
                                 follow before mls_conv_image needs them */
    const mls_operand *operand; /* prepared: both operands, or none */
    const float *fp32;          /* both, or none */
    const mls_conv_call *kept;  /* of the first operand: what mls_conv_keep made of it, or null */
} mls_source;

/* Where the result goes. */
typedef struct mls_sink {
    float *out; /* in MLS_FORWARD and MLS_BACKWARD_DATA null, if each image is told its place */
} mls_sink;

/* Bytes that mls_conv_begin needs, at any alignment, for operands of these formats (all-zero: fp32),
   whatever they will hold, with any kernel; 0 for a bad argument. */
MLS_DEF size_t mls_conv_call_size(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, int32_t threads);

/* Chooses how, packs the weights. first and second as in mls_conv_prepared; what they point to, and
   work, must stay until mls_conv_end, after which nothing is left to release. Errors: as of
   mls_conv_forward, and of mls_conv_prepared for operands; *call is null then. */
MLS_DEF mls_status mls_conv_begin(mls_conv_call **call, const mls_conv *conv,
                                  mls_direction direction, const mls_source *first,
                                  const mls_source *second, const mls_sink *sink, int32_t threads,
                                  void *work, size_t size);

/* Weights that stay as they are need not be packed by every call. mls_conv_keep packs them into memory,
   where they and *kept must stay as long as calls begin with it, as mls_source.kept; first is then to stay
   the same tensor, or the same floats, and calls differ from conv in in.n alone. Any number of calls may
   read it at a time. *kept is null, without an error, where the way depends on what the second operand
   will hold, as with wide groups: such calls pack for themselves, and so does one under another kernel.
   mls_conv_keep_size: bytes, at any alignment, with any kernel; 0: nothing would be kept, or a bad
   argument. second: its format, all-zero where first is fp32. Errors, with *kept null: ARGUMENT (also
   MLS_BACKWARD_WEIGHT), SHAPE, FORMAT, RANGE, MEMORY, FLOATS. */
MLS_DEF size_t mls_conv_keep_size(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second);
MLS_DEF mls_status mls_conv_keep(mls_conv_call **kept, const mls_conv *conv,
                                 mls_direction direction, const mls_source *first,
                                 mls_format second, void *memory, size_t size);

/* Image n of the batch, by thread 0 .. threads - 1, of which no two may be at work under one number.
   Images may come in any order; but in MLS_BACKWARD_WEIGHT in fp32 those of one block (see
   mls_conv_backward_weight_fp32) come in theirs, from one thread. out: where the image goes; null: to
   its place in the sink. */
MLS_DEF void mls_conv_image(const mls_conv_call *call, int32_t n, int32_t thread, float *out);

/* A thread that goes on with something else says so, as often as it likes, and so does each one after
   its last image: what it has gathered is summed, registers are given back. */
MLS_DEF void mls_conv_leave(const mls_conv_call *call, int32_t thread);

/* When all images are done and all threads have left: in MLS_BACKWARD_WEIGHT writes the sums to the
   sink, in a team of OpenMP threads. */
MLS_DEF void mls_conv_end(const mls_conv_call *call);

/* How a call that has begun is carried out, and why, as a line of text. */
MLS_DEF void mls_conv_call_explain(const mls_conv_call *call, char *text, size_t size);

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

enum {
    MLS__MOST_SIDE = 1 << 24 /* so that no index of a padded image overflows */
};

/* conv, which is not bad, with its defaults filled in: strides and paddings by side only. */
static mls_conv mls__conv_defaults(const mls_conv *conv)
{
    mls_conv c = *conv;
    if (!c.stride) c.stride = 1;
    if (!c.stride_h) c.stride_h = c.stride;
    if (!c.stride_w) c.stride_w = c.stride;
    if (!c.dilation_h) c.dilation_h = 1;
    if (!c.dilation_w) c.dilation_w = 1;
    if (!c.groups) c.groups = 1;
    c.pad_top += c.pad, c.pad_bottom += c.pad, c.pad_left += c.pad, c.pad_right += c.pad;
    c.stride = c.pad = 0;
    return c;
}

/* What is wrong with its numbers, one by one. */
static const char *mls__conv_numbers_wrong(const mls_conv *c)
{
    if (c->c_out < 1) return "it needs at least one output channel";
    if (c->kh < 1 || c->kw < 1) return "its window needs a height and a width of at least 1";
    if (c->stride < 0 || c->stride_h < 0 || c->stride_w < 0) return "its stride must be positive";
    if (c->dilation_h < 0 || c->dilation_w < 0) return "its dilation must be positive";
    if (c->pad < 0 || c->pad_top < 0 || c->pad_left < 0 || c->pad_bottom < 0 || c->pad_right < 0) {
        return "its padding must not be negative";
    }
    if (c->groups < 0) return "its groups must be positive";
    if (c->groups > 1 && c->in.c % c->groups) return "its groups do not divide its input channels";
    if (c->groups > 1 && c->c_out % c->groups)
        return "its groups do not divide its output channels";
    if (c->in.n < 1 || c->in.h < 1 || c->in.w < 1 || c->in.c < 1) return "its input is empty";
    if (!mls__elements(c->in) || c->in.h > MLS__MOST_SIDE || c->in.w > MLS__MOST_SIDE)
        return "its input is too large";
    if (c->kh > MLS__MOST_SIDE || c->kw > MLS__MOST_SIDE) return "its window is too large";
    if (c->stride > MLS__MOST_SIDE || c->stride_h > MLS__MOST_SIDE ||
        c->stride_w > MLS__MOST_SIDE) {
        return "its stride is too large";
    }
    if (c->dilation_h > MLS__MOST_SIDE || c->dilation_w > MLS__MOST_SIDE)
        return "its dilation is too large";
    if (c->pad > MLS__MOST_SIDE || c->pad_top > MLS__MOST_SIDE || c->pad_left > MLS__MOST_SIDE ||
        c->pad_bottom > MLS__MOST_SIDE || c->pad_right > MLS__MOST_SIDE) {
        return "its padding is too large";
    }
    return 0;
}

/* Sides of the padded image, and of the window with what lies between its taps. */
static int32_t mls__padded_h(const mls_conv *c)
{
    return c->in.h + c->pad_top + c->pad_bottom;
}
static int32_t mls__padded_w(const mls_conv *c)
{
    return c->in.w + c->pad_left + c->pad_right;
}
static int64_t mls__window_h(const mls_conv *c)
{
    return (int64_t)(c->kh - 1) * c->dilation_h + 1;
}
static int64_t mls__window_w(const mls_conv *c)
{
    return (int64_t)(c->kw - 1) * c->dilation_w + 1;
}

/* Shape of the output of a convolution with its defaults whose numbers are right. */
static mls_shape mls__conv_output(const mls_conv *c)
{
    mls_shape out;
    out.n = c->in.n, out.c = c->c_out;
    out.h = (int32_t)((mls__padded_h(c) - mls__window_h(c)) / c->stride_h + 1);
    out.w = (int32_t)((mls__padded_w(c) - mls__window_w(c)) / c->stride_w + 1);
    return out;
}

MLS_DEF const char *mls_conv_wrong(const mls_conv *conv)
{
    const char *wrong;
    mls_conv c;
    mls_shape kernel;
    size_t channels, padded;
    if (!conv) return "it is missing";
    wrong = mls__conv_numbers_wrong(conv);
    if (wrong) return wrong;
    c = mls__conv_defaults(conv);
    if (mls__padded_h(&c) < mls__window_h(&c) || mls__padded_w(&c) < mls__window_w(&c)) {
        return "its window is larger than its input with the padding";
    }
    kernel.n = c.c_out, kernel.h = c.kh, kernel.w = c.kw, kernel.c = c.in.c / c.groups;
    /* A padded image, in either direction, of the widest elements must be addressable. */
    channels = (size_t)(c.in.c > c.c_out ? c.in.c : c.c_out);
    if (!mls__elements(kernel) || c.kh > INT32_MAX / c.kw ||
        channels > INT32_MAX / 8 / (size_t)c.kw) {
        return "it has too many weights";
    }
    if (!mls__mul((size_t)mls__padded_h(&c), (size_t)mls__padded_w(&c), &padded) ||
        !mls__mul(padded, channels, &padded) || padded > SIZE_MAX / 256) {
        return "its input is too large";
    }
    return mls__elements(mls__conv_output(&c)) ? 0 : "its output is too large";
}

MLS_DEF mls_shape mls_conv_output(const mls_conv *conv)
{
    mls_shape none = {0, 0, 0, 0};
    mls_conv c;
    if (mls_conv_wrong(conv)) return none;
    c = mls__conv_defaults(conv);
    return mls__conv_output(&c);
}

MLS_DEF mls_shape mls_conv_weight_shape(const mls_conv *conv)
{
    mls_shape s = {0, 0, 0, 0};
    if (mls_conv_wrong(conv)) return s;
    s.n = conv->c_out, s.h = conv->kh, s.w = conv->kw;
    s.c = conv->in.c / (conv->groups ? conv->groups : 1);
    return s;
}

static int32_t mls__blocks(int32_t n)
{
    return n < MLS_CONV_BLOCKS ? n : (int32_t)MLS_CONV_BLOCKS;
}

MLS_DEF int32_t mls_conv_block_first(int32_t block, int32_t n)
{
    return (int32_t)((int64_t)block * n / mls__blocks(n));
}

/* And the other way around. */
static int32_t mls__block_of(int32_t image, int32_t n)
{
    return (int32_t)((((int64_t)image + 1) * mls__blocks(n) - 1) / n);
}

/* Terms of one output. */
static uint64_t mls__terms(const mls_conv *c, mls_direction direction)
{
    mls_shape out = mls__conv_output(c);
    uint64_t taps = (uint64_t)c->kh * (uint64_t)c->kw;
    if (direction == MLS_FORWARD) return taps * (uint64_t)(c->in.c / c->groups);
    if (direction == MLS_BACKWARD_DATA) return taps * (uint64_t)(c->c_out / c->groups);
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
    const char *wrong;
    mls_conv c;
    int bits;
    if (text && size) text[0] = 0;
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT) return MLS_ERROR_ARGUMENT;
    wrong = mls_conv_wrong(conv);
    if (wrong) {
        mls__say(text, size, wrong);
        return MLS_ERROR_SHAPE;
    }
    c = mls__conv_defaults(conv);
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
   write images, row ky of the gradient of the weights. */

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
    mls_shape o = mls__conv_output(c);
    mls__scaling s = mls__scaling_make(w, a);
    int32_t depth = c->in.c / c->groups; /* channels that an output sees */
    int32_t step = mls__scaled_c(w) || mls__scaled_c(a) ? 1 : depth; /* of a pair */
    for (int32_t y = 0; y < o.h; y++)
        for (int32_t x = 0; x < o.w; x++)
            for (int32_t co = 0; co < o.c; co++) {
                int32_t from = co / (o.c / c->groups) * depth; /* the first of them */
                mls__wide acc = 0;
                for (int32_t c0 = 0; c0 < depth; c0 += step) {
                    mls__wide p = 0;
                    for (int32_t ci = c0; ci < c0 + step; ci++)
                        for (int32_t ky = 0; ky < c->kh; ky++)
                            for (int32_t kx = 0; kx < c->kw; kx++) {
                                int32_t iy = y * c->stride_h + ky * c->dilation_h - c->pad_top,
                                        ix = x * c->stride_w + kx * c->dilation_w - c->pad_left;
                                if (iy < 0 || iy >= c->in.h || ix < 0 || ix >= c->in.w) continue;
                                p += (mls__wide)mls__q(w, co, ky, kx, ci) *
                                     mls__q(a, n, iy, ix, from + ci);
                            }
                    acc += mls__pair_value(p, w, mls__group(w, co, c0), a,
                                           mls__group(a, n, from + c0), s.fraction);
                }
                *out++ = mls__finish(acc, s);
            }
}

static void mls__backward_data_image(const mls_conv *c, const mls_tensor *w, const mls_tensor *e,
                                     int32_t n, float *out)
{
    mls_shape o = mls__conv_output(c);
    mls__scaling s = mls__scaling_make(w, e);
    int32_t sy = c->stride_h, sx = c->stride_w;
    int32_t depth = o.c / c->groups, share = c->in.c / c->groups;
    int32_t step = mls__scaled_n(w) || mls__scaled_c(e) ? 1 : depth;
    for (int32_t y = 0; y < c->in.h; y++)
        for (int32_t x = 0; x < c->in.w; x++)
            for (int32_t ci = 0; ci < c->in.c; ci++) {
                int32_t from = ci / share * depth;
                mls__wide acc = 0;
                for (int32_t c0 = from; c0 < from + depth; c0 += step) {
                    mls__wide p = 0;
                    for (int32_t co = c0; co < c0 + step; co++)
                        for (int32_t ky = 0; ky < c->kh; ky++)
                            for (int32_t kx = 0; kx < c->kw; kx++) {
                                int32_t ty = y + c->pad_top - ky * c->dilation_h,
                                        tx = x + c->pad_left -
                                             kx * c->dilation_w; /* stride times the row of E */
                                if (ty < 0 || tx < 0 || ty % sy || tx % sx) continue;
                                if (ty / sy >= o.h || tx / sx >= o.w) continue;
                                p += (mls__wide)mls__q(w, co, ky, kx, ci % share) *
                                     mls__q(e, n, ty / sy, tx / sx, co);
                            }
                    acc += mls__pair_value(p, w, mls__group(w, c0, ci % share), e,
                                           mls__group(e, n, c0), s.fraction);
                }
                *out++ = mls__finish(acc, s);
            }
}

static void mls__backward_weight_row(const mls_conv *c, const mls_tensor *e, const mls_tensor *a,
                                     int32_t ky, float *out)
{
    mls_shape o = mls__conv_output(c);
    mls__scaling s = mls__scaling_make(e, a);
    int32_t step = mls__scaled_n(e) || mls__scaled_n(a) ? 1 : o.n; /* images of a pair */
    int32_t depth = c->in.c / c->groups;
    for (int32_t co = 0; co < o.c; co++)
        for (int32_t kx = 0; kx < c->kw; kx++)
            for (int32_t i = 0; i < depth; i++) {
                int32_t ci = co / (o.c / c->groups) * depth + i;
                size_t tap = ((size_t)co * (size_t)c->kh + (size_t)ky) * (size_t)c->kw + (size_t)kx;
                mls__wide acc = 0;
                for (int32_t n0 = 0; n0 < o.n; n0 += step) {
                    mls__wide p = 0;
                    for (int32_t n = n0; n < n0 + step; n++)
                        for (int32_t y = 0; y < o.h; y++)
                            for (int32_t x = 0; x < o.w; x++) {
                                int32_t iy = y * c->stride_h + ky * c->dilation_h - c->pad_top,
                                        ix = x * c->stride_w + kx * c->dilation_w - c->pad_left;
                                if (iy < 0 || iy >= c->in.h || ix < 0 || ix >= c->in.w) continue;
                                p += (mls__wide)mls__q(e, n, y, x, co) * mls__q(a, n, iy, ix, ci);
                            }
                    acc += mls__pair_value(p, e, mls__group(e, n0, co), a, mls__group(a, n0, ci),
                                           s.fraction);
                }
                out[tap * (size_t)depth + (size_t)i] = mls__finish(acc, s);
            }
}

/* The same in fp32: chains in the order of the prototypes. */

/* Element (n, y, x, ch) of a tensor of floats; 0 beside a row. */
static float mls__at_fp32(const float *v, mls_shape s, int32_t n, int32_t y, int32_t x, int32_t ch)
{
    size_t row = (size_t)n * (size_t)s.h + (size_t)y;
    if (x < 0 || x >= s.w) return 0;
    return v[(row * (size_t)s.w + (size_t)x) * (size_t)s.c + (size_t)ch];
}

static void mls__forward_image_fp32(const mls_conv *c, const float *w, const float *a, int32_t n,
                                    float *out)
{
    mls_shape o = mls__conv_output(c), ws = mls_conv_weight_shape(c);
    for (int32_t y = 0; y < o.h; y++)
        for (int32_t x = 0; x < o.w; x++)
            for (int32_t co = 0; co < o.c; co++) {
                int32_t from = co / (o.c / c->groups) * ws.c;
                float acc = 0;
                for (int32_t ky = 0; ky < c->kh; ky++) {
                    int32_t iy = y * c->stride_h + ky * c->dilation_h - c->pad_top;
                    if (iy < 0 || iy >= c->in.h) continue;
                    for (int32_t kx = 0; kx < c->kw; kx++) {
                        int32_t ix = x * c->stride_w + kx * c->dilation_w - c->pad_left;
                        for (int32_t ci = 0; ci < ws.c; ci++) {
                            acc = mls__fma(mls__at_fp32(a, c->in, n, iy, ix, from + ci),
                                           mls__at_fp32(w, ws, co, ky, kx, ci), acc);
                        }
                    }
                }
                *out++ = acc;
            }
}

static void mls__backward_data_image_fp32(const mls_conv *c, const float *w, const float *e,
                                          int32_t n, float *out)
{
    mls_shape o = mls__conv_output(c), ws = mls_conv_weight_shape(c);
    int32_t sy = c->stride_h, sx = c->stride_w, depth = o.c / c->groups;
    for (int32_t y = 0; y < c->in.h; y++)
        for (int32_t x = 0; x < c->in.w; x++)
            for (int32_t ci = 0; ci < c->in.c; ci++) {
                int32_t from = ci / ws.c * depth;
                float acc = 0;
                for (int32_t ky = c->kh - 1; ky >= 0; ky--) {
                    int32_t ty = y + c->pad_top - ky * c->dilation_h;
                    if (ty < 0 || ty % sy || ty / sy >= o.h) continue;
                    for (int32_t kx = c->kw - 1; kx >= 0; kx--) {
                        int32_t tx = x + c->pad_left - kx * c->dilation_w;
                        if (tx % sx) continue; /* negative ones are beside the row */
                        for (int32_t co = from; co < from + depth; co++) {
                            acc = mls__fma(mls__at_fp32(e, o, n, ty / sy, tx / sx, co),
                                           mls__at_fp32(w, ws, co, ky, kx, ci % ws.c), acc);
                        }
                    }
                }
                *out++ = acc;
            }
}

/* Adds what image n gives to sums of the shape of the weights. */
static void mls__backward_weight_image_fp32(const mls_conv *c, const float *e, const float *a,
                                            int32_t n, float *sum)
{
    mls_shape o = mls__conv_output(c), ws = mls_conv_weight_shape(c);
    for (int32_t co = 0; co < o.c; co++)
        for (int32_t ky = 0; ky < c->kh; ky++)
            for (int32_t kx = 0; kx < c->kw; kx++)
                for (int32_t i = 0; i < ws.c; i++, sum++) {
                    int32_t ci = co / (o.c / c->groups) * ws.c + i;
                    for (int32_t y = 0; y < o.h; y++) {
                        int32_t iy = y * c->stride_h + ky * c->dilation_h - c->pad_top;
                        if (iy < 0 || iy >= c->in.h) continue;
                        for (int32_t x = 0; x < o.w; x++) {
                            int32_t ix = x * c->stride_w + kx * c->dilation_w - c->pad_left;
                            *sum = mls__fma(mls__at_fp32(e, o, n, y, x, co),
                                            mls__at_fp32(a, c->in, n, iy, ix, ci), *sum);
                        }
                    }
                }
}

/* ------------------------------------------------------------------------------- >>kernels
   What a unit brings: sums of products by the tile, and what turns tensors into their operands. */

enum { /* what a word holds: 4 int8, 2 int16 or 1 float */
    MLS__S8,
    MLS__S16,
    MLS__F32
};

enum {
    MLS__LANE = 16,  /* outputs side by side in a packed operand, whatever the vector length */
    MLS__WORD = 4,   /* bytes that one lane takes at a time */
    MLS__AHEAD = 64, /* elements that folding takes at a time */
    MLS__ROWS = 16,  /* most rows of a tile */
#if MLS__X86 || MLS__NEON
    MLS__TILE = 384,   /* most sums of a tile */
    MLS__SLACK = 2048, /* readable bytes behind an operand: what the last tile touches */
    MLS__BEYOND = 32,  /* and pixels behind an image, beside the kernel's width */
#else
    MLS__TILE = MLS__LANE,
    MLS__SLACK = 16,
    MLS__BEYOND = 4,
#endif
    MLS__TILE_WORDS = 16,    /* words that a register of AMX takes at a time */
    MLS__L1 = 30 * 1024,     /* bytes of operands that stay in the L1 cache */
    MLS__FEW_TERMS = 64,     /* where 32 bits hold fewer, operands are split into planes */
    MLS__FEWEST_TERMS = 16,  /* where they hold fewer of planes, these are of no use */
    MLS__BYTE_TERMS = 32768, /* 2 * 128 * 255 times that fits 32 bits: all terms of an output */
    MLS__GATHER = 1 << 19,   /* bytes of operands that backward-weight gathers: half an L2 cache */
    MLS__STRIP = 128,        /* words of a backward-weight tile that stay in the L1 cache */
    MLS__CHANNELS = 64       /* channels at a time, depthwise */
};

/* What becomes of the sums of a tile. */
enum {
    MLS__PUT_SUMS,   /* c = sum, int32 or float */
    MLS__PUT_FLOATS, /* out = (float)sum * scale, or the sum itself in MLS__F32 */
    MLS__PUT_JOINED, /* out = (float)(c * power + sum) * scale, power at most 2^16 */
    MLS__PUT_WIDE    /* wide += shift(sum, row_shift[m] - lane_k[lane]) */
};

/* One tile of the micro-kernel: for m < mr rows and nb blocks of 16 lanes,
   sum[m][lane] = init[m][lane] + sum over image, row, word of dot(a word, b word of the lane). */
typedef struct mls__dot {
    const uint8_t *a; /* word (m, image, row, word) is at a + m * a_m + image * a_image + ... */
    size_t a_m, a_image, a_row, a_word;
    const uint8_t *b; /* its 16 lanes of block i are at b + i * b_block + image * b_image + ... */
    size_t b_block, b_image, b_row, b_word;
    size_t images, rows, words;
    int32_t b_unsigned;  /* on VNNI: b is the unsigned operand, not a */
    int32_t put;         /* see above */
    size_t count, lanes; /* rows and lanes that are put */
    const int32_t *init; /* null: 0; MLS__PUT_SUMS: may be c */
    size_t init_step;    /* lanes from m to m + 1; 0: the same for every m */
    int32_t *c;
    size_t c_step;
    float scale;
    double power; /* of MLS__PUT_JOINED */
    float *out;
    size_t out_step;
    int64_t *wide;
    size_t wide_step;
    const int32_t *row_shift, *lane_k;
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
    size_t size;         /* bytes of an element */
    size_t steps;
    uint8_t *to;
    size_t to_step;  /* bytes from step to step */
    size_t to_block; /* and from 16 words to the next 16 */
    const uint8_t *zeros;
    uint32_t flip; /* xor to every word */
} mls__mix_pixels;

/* A unit with two-dimensional registers (AMX) brings these: products of bytes, or of 16-bit integers
   as two planes of bytes, v = high * 256 + low with low unsigned. */

/* A rectangle of outputs of one image, for some lanes. */
typedef struct mls__area {
    const uint8_t *a;          /* the first tap of output (0, 0) */
    ptrdiff_t a_x, a_y, a_row; /* bytes from output to output, line to line, row to row of taps */
    ptrdiff_t a_plane;         /* from the low bytes to the high ones; 0: 8 bits */
    const uint8_t *b;          /* [block][row][word][16 lanes][4] */
    ptrdiff_t b_block, b_row, b_plane;
    int32_t rows, words; /* words: a multiple of 16, with zeros in b at the end */
    int32_t lanes, h, w;
    float *out;
    size_t out_x, out_y;  /* floats from output to output, line to line */
    float scale;          /* where sums fit 32 bits and one product scales them; else 0 */
    const float *factors; /* the same three, one after the other */
    int32_t run, pitch;   /* for the tiles: of each pitch outputs of a line, the first run count */
    uint8_t *room;        /* for sums of tiles: MLS__AREA_ROOM bytes */
} mls__area;
enum {
    MLS__AREA_ROOM = 2 * (4 * 256 + 32) * sizeof(int32_t)
};

/* Products of E and A over many pixels, for backward-weight. Pixels lie on one line: those of a
   channel of A side by side, so that a tap is an offset; E as words of 4 pixels. */
typedef struct mls__strip {
    const uint8_t *a; /* [channel][pixel] */
    const size_t *a_tap;
    size_t a_channel, a_plane; /* a_plane: from the low bytes to the high ones; 0: 8 bits */
    const uint8_t *b;          /* [block][word][16 channels][4] */
    size_t b_block, b_plane;
    int32_t taps, a_blocks, b_blocks;
    int32_t words; /* a multiple of 16, with zeros in b at the end */
    int32_t fresh; /* c32 starts from 0 */
    int32_t *c32;  /* [tap][a block][b block][16 of a][16 of b] += sums, */
    int64_t *c64;  /* and of 16 bits */
} mls__strip;

/* Pixels on one line to that layout. */
typedef struct mls__line {
    const uint8_t *from;
    size_t pixel; /* bytes */
    size_t size;  /* bytes of an integer */
    int plane;    /* byte of it */
    size_t pixels, blocks;
    uint8_t *to;
    size_t step; /* turn: bytes from channel to channel; words: from block to block */
} mls__line;

/* Products of E and A for the weights of a depthwise convolution, lane by lane: for every tap,
   sum += sum over row, word of dot(a word, e word). Of integers only the rows of taps move A, and only
   their columns E, whose zeros make up for it; of floats all move A. */
typedef struct mls__cross {
    const uint8_t *a;
    size_t a_lane, a_y, a_x, a_row, a_word; /* bytes; a_lane: from lane to lane, 0 for the same */
    const uint8_t *e;
    size_t e_x, e_row, e_word;
    size_t taps_y, taps_x, rows, words, lanes;
    int32_t *sum; /* or floats; whole vectors */
    size_t sum_y, sum_x;
} mls__cross;

typedef struct mls__amx_unit {
    void (*area)(const mls__area *x);
    void (*strip)(const mls__strip *x);
    void (*bytes)(const int16_t *v, size_t count, uint8_t *low, uint8_t *high);
    void (*words)(const mls__line *x); /* a multiple of 4 pixels */
    void (*turn)(const mls__line *x);  /* writes a multiple of 64 pixels */
    /* 16 x 16 sums [a][b], either null, scaled by three factors, as rows [b][a] */
    void (*put)(const int32_t *c32, const int64_t *c64, const float *factors, size_t rows,
                size_t cols, float *to, size_t step);
    void (*release)(void); /* gives the registers of this thread back */
} mls__amx_unit;

typedef struct mls__kernel {
    uint8_t rows[4]; /* rows[nb]: most rows of a tile of nb blocks; 0: no such tile. They fill the
                        registers and leave room for a word of each block and one of a row */
    uint8_t bias;    /* one int8 operand is stored as v + bias */
    void (*dot)(int kind, int mr, int nb, const mls__dot *d);
    /* The same where lanes are channels: a row of outputs, the words of a are of every lane, too. */
    void (*lanes)(int kind, const mls__dot *d);
    void (*cross)(int kind, const mls__cross *x);
    /* elements first .. first + count - 1, the first of them in channel ch, as size-byte integers */
    void (*fold)(const mls__fold *f, size_t first, size_t count, size_t ch, size_t size,
                 uint8_t *to);
    void (*interleave)(const mls__mix_pixels *x);
    /* to[j][i] = the bytes of from[j][i], from[j + 1][i] from bit shift on; rows of step bytes */
    void (*next_pixel)(const uint8_t *from, uint8_t *to, size_t step, size_t steps, size_t count,
                       int shift);
    /* v << shift[ch] = high * 2^bits + low, low in -2^(bits - 1) .. 2^(bits - 1) - 1. The first one
       is of channel 0; shift is repeated for MLS__AHEAD more. */
    void (*split)(const int32_t *v, const int32_t *shift, size_t channels, size_t count, int bits,
                  int16_t *low, int16_t *high);
    /* sum += c32 + c64 + constant; either may be null */
    void (*add)(int64_t *sum, const int32_t *c32, const int64_t *c64, int64_t constant,
                size_t count);
    void (*add_floats)(float *sum, const float *part, size_t count); /* sum += part */
    /* out = (((float)sum * factors[0]) * factors[1]) * factors[2] */
    void (*emit)(const int64_t *sum, size_t count, const float *factors, float *out);
    const mls__amx_unit *amx; /* may be null */
} mls__kernel;

static void mls__fold_scalar(const mls__fold *f, size_t first, size_t count, size_t ch, size_t size,
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
    size_t size = x->size, each = MLS__WORD / size;
    for (size_t j = 0; j < each; j++) {
        const uint8_t *from = mls__mix_pixel(x, step * each + j);
        uint8_t *to = x->to + step * x->to_step + j * size;
        for (size_t i = first; i < x->count; i++) {
            for (size_t k = 0; k < size; k++) {
                to[i / MLS__LANE * x->to_block + i % MLS__LANE * MLS__WORD + k] =
                    (uint8_t)(from[i * size + k] ^ (x->flip & 255));
            }
        }
    }
}

static void mls__interleave_scalar(const mls__mix_pixels *x)
{
    for (size_t step = 0; step < x->steps; step++) mls__mix_rest(x, step, 0);
}

static void mls__next_pixel_scalar(const uint8_t *from, uint8_t *to, size_t step, size_t steps,
                                   size_t count, int shift)
{
    size_t on = (size_t)shift / 8; /* in either byte order */
    for (size_t j = 0; j < steps; j++, from += step, to += step) {
        for (size_t i = 0; i < count * MLS__WORD; i += MLS__WORD) {
            memcpy(to + i, from + i + on, MLS__WORD - on);
            memcpy(to + i + MLS__WORD - on, from + step + i, on);
        }
    }
}

static void mls__split_scalar(const int32_t *v, const int32_t *shift, size_t channels, size_t count,
                              int bits, int16_t *low, int16_t *high)
{
    size_t ch = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t x = v[i] * (1 << shift[ch]), up = (x + (1 << bits >> 1)) >> bits;
        low[i] = (int16_t)(x - up * (1 << bits)), high[i] = (int16_t)up;
        if (++ch == channels) ch = 0;
    }
}

static void mls__add_sums_scalar(int64_t *sum, const int32_t *c32, const int64_t *c64,
                                 int64_t constant, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum[i] += constant + (c32 ? c32[i] : 0) + (c64 ? c64[i] : 0);
    }
}

static void mls__add_floats_scalar(float *sum, const float *part, size_t count)
{
    for (size_t i = 0; i < count; i++) sum[i] = sum[i] + part[i];
}

static void mls__emit_scalar(const int64_t *sum, size_t count, const float *factors, float *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (((float)sum[i] * factors[0]) * factors[1]) * factors[2];
    }
}

/* Adds dot(a, b[lane]) to 16 sums; kind is a constant of each instance. Sums wrap: lanes that nobody
   asked for hold anything. */
MLS__INLINE void mls__word_scalar(int kind, const uint8_t *a, const uint8_t *b, uint32_t *sum)
{
    const int32_t p = (int8_t)a[0], q = (int8_t)a[1], r = (int8_t)a[2], s = (int8_t)a[3];
    int16_t x[2], y[2];
    float av, bv, z;
    memcpy(x, a, 4), memcpy(&av, a, 4);
    for (int lane = 0; lane < MLS__LANE; lane++, b += MLS__WORD) {
        if (kind == MLS__S8) {
            const int8_t *v = (const int8_t *)b;
            sum[lane] += (uint32_t)(p * v[0] + q * v[1] + r * v[2] + s * v[3]);
        } else if (kind == MLS__S16) {
            memcpy(y, b, 4);
            sum[lane] += (uint32_t)(x[0] * y[0]) + (uint32_t)(x[1] * y[1]);
        } else {
            memcpy(&bv, b, 4), memcpy(&z, &sum[lane], 4);
            z = mls__fma(av, bv, z);
            memcpy(&sum[lane], &z, 4);
        }
    }
}

MLS__INLINE void mls__tile_scalar(int kind, const mls__dot *d, uint32_t *sum)
{
    for (size_t image = 0; image < d->images; image++) {
        for (size_t row = 0; row < d->rows; row++) {
            const uint8_t *a = d->a + image * d->a_image + row * d->a_row;
            const uint8_t *b = d->b + image * d->b_image + row * d->b_row;
            for (size_t word = 0; word < d->words; word++, a += d->a_word, b += d->b_word) {
                mls__word_scalar(kind, a, b, sum);
            }
        }
    }
}

static void mls__put_scalar(int kind, const mls__dot *d, size_t lane, int32_t sum)
{
    float z = kind == MLS__F32 ? mls__float((uint32_t)sum) : (float)sum * d->scale;
    if (d->put == MLS__PUT_SUMS) {
        d->c[lane] = sum;
    } else if (d->put == MLS__PUT_FLOATS) {
        d->out[lane] = z;
    } else if (d->put == MLS__PUT_JOINED) {
        d->out[lane] = (float)(d->c[lane] * d->power + sum) * d->scale;
    } else {
        int32_t shift = d->row_shift[0] - d->lane_k[lane];
        if (shift < 0) sum >>= -shift < 31 ? -shift : 31;
        d->wide[lane] =
            (int64_t)((uint64_t)d->wide[lane] + ((uint64_t)sum << (shift > 0 ? shift : 0)));
    }
}

/* Plain C, for builds and machines without vectors: tiles of one row and one block. */
static void mls__dot_scalar(int kind, int mr, int nb, const mls__dot *d)
{
    uint32_t sum[MLS__LANE];
    (void)mr, (void)nb;
    memset(sum, 0, sizeof sum);
    if (d->init) memcpy(sum, d->init, d->lanes * sizeof *sum);
    if (kind == MLS__S8) mls__tile_scalar(MLS__S8, d, sum);
    if (kind == MLS__S16) mls__tile_scalar(MLS__S16, d, sum);
    if (kind == MLS__F32) mls__tile_scalar(MLS__F32, d, sum);
    for (size_t lane = 0; lane < d->lanes; lane++)
        mls__put_scalar(kind, d, lane, (int32_t)sum[lane]);
}

static uint32_t mls__lane_scalar(int kind, const uint8_t *a, const uint8_t *b, uint32_t sum)
{
    float x, y, z;
    if (kind == MLS__S8) {
        const int8_t *v = (const int8_t *)a, *w = (const int8_t *)b;
        return sum + (uint32_t)(v[0] * w[0] + v[1] * w[1] + v[2] * w[2] + v[3] * w[3]);
    }
    if (kind == MLS__S16) {
        int16_t v[2], w[2];
        memcpy(v, a, sizeof v), memcpy(w, b, sizeof w);
        return sum + (uint32_t)(v[0] * w[0]) + (uint32_t)(v[1] * w[1]);
    }
    memcpy(&x, a, sizeof x), memcpy(&y, b, sizeof y), memcpy(&z, &sum, sizeof z);
    z = mls__fma(x, y, z);
    memcpy(&sum, &z, sizeof z);
    return sum;
}

static void mls__lanes_scalar(int kind, const mls__dot *d)
{
    mls__dot row = *d;
    for (size_t m = 0; m < d->count; m++) {
        if (row.out) row.out = d->out + m * d->out_step;
        if (row.c) row.c = d->c + m * d->c_step;
        for (size_t lane = 0; lane < d->lanes; lane++) {
            uint32_t sum = d->init ? (uint32_t)d->init[lane] : 0;
            for (size_t i = 0; i < d->rows * d->words; i++) {
                size_t y = i / d->words, word = i % d->words;
                sum = mls__lane_scalar(
                    kind, d->a + m * d->a_m + y * d->a_row + word * d->a_word + lane * MLS__WORD,
                    d->b + y * d->b_row + word * d->b_word + lane * MLS__WORD, sum);
            }
            mls__put_scalar(kind, &row, lane, (int32_t)sum);
        }
    }
}

static void mls__cross_scalar(int kind, const mls__cross *x)
{
    for (size_t tap = 0; tap < x->taps_y * x->taps_x; tap++) {
        size_t ky = tap / x->taps_x, kx = tap % x->taps_x;
        for (size_t lane = 0; lane < x->lanes; lane++) {
            const uint8_t *a = x->a + ky * x->a_y + kx * x->a_x + lane * x->a_lane;
            const uint8_t *e = x->e + kx * x->e_x + lane * MLS__WORD;
            int32_t *to = x->sum + ky * x->sum_y + kx * x->sum_x + lane;
            uint32_t sum = (uint32_t)*to;
            for (size_t i = 0; i < x->rows * x->words; i++) {
                size_t y = i / x->words, word = i % x->words;
                sum = mls__lane_scalar(kind, a + y * x->a_row + word * x->a_word,
                                       e + y * x->e_row + word * x->e_word, sum);
            }
            *to = (int32_t)sum;
        }
    }
}

/* The scalar kernel takes these for fp32 and for prepared operands only: it leaves packed tensors of
   integers to the reference. */
#define MLS__PLAIN_KERNEL                                                                         \
    {                                                                                             \
        {0, 1, 0, 0}, 0, mls__dot_scalar, mls__lanes_scalar, mls__cross_scalar, mls__fold_scalar, \
            mls__interleave_scalar, mls__next_pixel_scalar, mls__split_scalar,                    \
            mls__add_sums_scalar, mls__add_floats_scalar, mls__emit_scalar, 0                     \
    }
static const mls__kernel mls__kernel_scalar = MLS__PLAIN_KERNEL;
static const mls__kernel mls__kernel_portable = MLS__PLAIN_KERNEL;
#undef MLS__PLAIN_KERNEL

#define MLS__EACH MLS_CONV_HEADER
#define MLS__EACH_DOT
#include MLS_HEADER
#undef MLS__EACH_DOT
#undef MLS__EACH

#define MLS__ROW(unit, vectors) &mls__kernel_##unit,
static const mls__kernel *const mls__kernels[] = {MLS__UNITS(MLS__ROW)};
#undef MLS__ROW

/* --------------------------------------------------------------------------------- >>call
   One convolution: its geometry, its operands, and the method that carries it out. */

/* All in elements; made once, when a call begins. */
typedef struct mls__geometry {
    size_t n, kh, kw, ci, co, stride_y, stride_x; /* as mls_conv has them */
    size_t h, w, c;        /* the second operand's images: A, or E in backward-data */
    size_t oh, ow, oc;     /* those on the other side: Z, dA, and E in backward-weight */
    size_t taps_y, taps_x; /* of a phase, at most */
    /* of the stride, that taps have: a tap as many on has the same */
    size_t residues_y, residues_x;
    size_t apart_y, apart_x, runs; /* pixels between the taps of a phase; see mls__side */
    size_t top, left, rows, cols;  /* padding before an image; the padded image */
    size_t depth;                  /* elements of a row of taps */
    size_t lanes, blocks;          /* outputs side by side, and blocks of 16 of them */
} mls__geometry;

static size_t mls__least(size_t a, size_t b)
{
    return a < b ? a : b;
}
static size_t mls__most(size_t a, size_t b)
{
    return a > b ? a : b;
}
static size_t mls__up_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t mls__common(size_t a, size_t b) /* divisor, the greatest */
{
    return b ? mls__common(b, a % b) : a;
}

static size_t mls__residues(size_t s, size_t d, size_t k)
{
    return mls__least(s / mls__common(s, d), k);
}

/* Row y of dA takes the taps ky that end on a row of E, those with ky * dilation = y + pad (mod stride).
   For every such residue that is a stride-1 convolution of E with its share of the flipped kernel. */
static void mls__geometry_back(mls__geometry *g, const mls_conv *c)
{
    size_t oh = g->oh, ow = g->ow, over_y, over_x;
    g->oh = g->h, g->ow = g->w, g->oc = g->ci, g->h = oh, g->w = ow, g->c = g->co;
    g->taps_y = mls__up_div(g->kh, g->residues_y), g->taps_x = mls__up_div(g->kw, g->residues_x);
    over_y = (g->oh - 1 + g->top) / g->stride_y + 1;
    over_x = (g->ow - 1 + g->left) / g->stride_x + 1;
    g->top = (g->kh - 1) * (size_t)c->dilation_h / g->stride_y;
    g->left = (g->kw - 1) * (size_t)c->dilation_w / g->stride_x;
    g->rows = g->top + mls__most(over_y, oh), g->cols = g->left + mls__most(over_x, ow);
    g->apart_y /= mls__common(g->apart_y, g->stride_y), g->apart_x = g->runs;
}

static mls__geometry mls__geometry_make(const mls_conv *c, mls_direction direction)
{
    mls_shape out = mls__conv_output(c);
    mls__geometry g;
    memset(&g, 0, sizeof g);
    g.n = (size_t)out.n, g.kh = (size_t)c->kh, g.kw = (size_t)c->kw;
    g.ci = g.c = (size_t)c->in.c, g.co = g.oc = (size_t)c->c_out;
    g.stride_y = (size_t)c->stride_h, g.stride_x = (size_t)c->stride_w;
    g.h = (size_t)c->in.h, g.w = (size_t)c->in.w, g.oh = (size_t)out.h, g.ow = (size_t)out.w;
    g.taps_y = g.kh, g.taps_x = g.kw, g.top = (size_t)c->pad_top, g.left = (size_t)c->pad_left;
    g.apart_y = (size_t)c->dilation_h, g.apart_x = (size_t)c->dilation_w;
    g.residues_y = mls__residues(g.stride_y, g.apart_y, g.kh);
    g.residues_x = mls__residues(g.stride_x, g.apart_x, g.kw);
    g.runs = g.apart_x / mls__common(g.stride_x, g.apart_x);
    g.rows = (g.oh - 1) * g.stride_y + (g.kh - 1) * g.apart_y + 1;
    g.cols = (g.ow - 1) * g.stride_x + (g.kw - 1) * g.apart_x + 1;
    if (direction == MLS_BACKWARD_DATA) mls__geometry_back(&g, c);
    g.cols = mls__up_div(g.cols, g.apart_x) * g.apart_x;
    g.depth = g.taps_x * g.c;
    g.lanes = direction == MLS_BACKWARD_WEIGHT ? g.depth : g.oc;
    g.blocks = mls__up_div(g.lanes, MLS__LANE);
    return g;
}

/* Runs twice over the parts of a layout: without a base it adds up their sizes, with one it gives
   out their addresses. */
typedef struct mls__cursor {
    uint8_t *base;
    size_t at;
} mls__cursor;

static void *mls__take(mls__cursor *c, size_t bytes)
{
    void *p = c->base ? c->base + c->at : 0;
    c->at += mls__align(bytes, MLS__ALIGN);
    return p;
}

/* Bytes from one to the next of words, of blocks of 16 of them, of rows and of images. */
typedef struct mls__words {
    size_t word, block, row, image;
} mls__words;

/* Forward and backward-data: the packed weights [plane][phase][block][row][word][16 lanes][4], of
   group pairs [block][channel][row][tap][16][4]; images. */
typedef struct mls__data {
    size_t cell;                                          /* bytes of an element of the weights */
    size_t planes, words, row, pair, block, phase, plane; /* bytes from one to the next */
    uint8_t *packed;
    int32_t *bias;            /* what takes it off: [phase][rows of taps before][lane] */
    int32_t *lane_k;          /* of group pairs: [block][channel][16] */
    size_t image, byte_plane; /* bytes of an image, and of a plane of its bytes */
    size_t together;          /* images at a time */
    int64_t row_largest;      /* int16: magnitudes that a lane meets in a row of taps, at most */
    int64_t strip_largest;    /* and in MLS__STRIP words of one; 0: unknown */
    size_t rows_fit;          /* how many such rows 32 bits hold, */
    size_t words_fit;         /* or words of a row, from a multiple of them on */
} mls__data;

/* Backward-weight: sums [ky][co][kx, ci] of a block of images or a thread; E and A of some images as
   words of neighbouring pixels, E as [plane][block][image][row][word][16 co][4] and A as
   [plane][block][image][row][word][16 (kx, ci)][4], or with the blocks inside. */
typedef struct mls__weight {
    size_t co;                         /* c_out padded to tiles */
    size_t quads, extra, band, gather; /* words of a row, and more of A; rows, images at a time */
    mls__words e, a;
    size_t e_plane, a_plane, image,
        error;    /* bytes of a plane of either; of what they are made from */
    size_t plain; /* of an image of floats that is spread first; or 0 */
    size_t sums, sum_count, sum_bytes;
    uint8_t *sum;
} mls__weight;

/* The same on tiles: pixels of a row and of an image on the line, and its rows; bytes of a channel of
   A, of planes and of a copy of an image's pixels. */
typedef struct mls__flat {
    size_t blocks, planes, pitch, line, rows, channel, flat;
} mls__flat;

/* Depthwise: channels in blocks, of which images are words [row][word][MLS__CHANNELS][4], a word being
   neighbouring columns. Weights [phase][block][place][row][word][MLS__CHANNELS][4]: place is that of an
   output's first column in its word. Sums of the weights [block][tap][MLS__CHANNELS], the last tap being
   E alone. */
typedef struct mls__lanes {
    uint8_t *packed; /* weights, or sums */
    int32_t *bias;   /* takes it off: [phase][block][MLS__CHANNELS] */
    size_t sums, sum_bytes;
} mls__lanes;

/* Groups of channels: what a group's call takes of the workspace, and all weights, folded. */
typedef struct mls__shares {
    uint8_t *room, *weights;
    size_t each;
} mls__shares;

typedef struct mls__method mls__method;

struct mls_conv_call {
    mls_conv conv;
    mls_direction direction;
    mls__geometry g;
    const mls__kernel *kernel;
    const mls__method *method;
    mls_source
        source[2]; /* the first operand (W, or E in backward-weight) and the second (A or E) */
    float *out;
    mls_format format[2];
    uint8_t kept;      /* 1: the weights are packed, in memory of their own */
    uint8_t pairs;     /* summed group pair by group pair; otherwise all is folded: */
    uint8_t planes[2]; /* in so many planes of int16, */
    uint8_t bits[2];   /* the lower one of so many bits, */
    int k[2];          /* to these exponents */
    int64_t most[2];   /* magnitudes at most of either */
    int64_t segment;   /* such products that 32 bits hold */
    size_t size;       /* bytes of an element of an image */
    uint32_t bias;     /* of its bytes */
    float fold, units; /* of the sums: 2^(F - k - k), 2^(lsb + lsb - mg - mg - F) */
    /* prepared operands: an image from its padding on, E from its first pixel; bytes to the next */
    const uint8_t *images, *errors, *integers, *packed;
    const int32_t *packed_bias;
    size_t images_step, errors_step, errors_row;
    size_t slots; /* threads */
    uint8_t *slot;
    size_t slot_bytes;
    union {
        mls__data data;
        mls__weight weight;
    };
    union {
        mls__flat flat;
        mls__lanes lanes;
        mls__shares shares;
    };
};

/* A way to carry a convolution out. */
struct mls__method {
    const char *name;              /* for mls_conv_explain */
    int weight;                    /* whether it is for backward-weight; -1: for all directions */
    int grouped;                   /* whether it takes groups of channels */
    int kind;                      /* of its words */
    int (*fits)(mls_conv_call *k); /* if so, sets what it says above of planes and sums */
    void (*layout)(mls_conv_call *k, mls__cursor *at);
    void (*begin)(mls_conv_call *k); /* before the first image */
    void (*images)(const mls_conv_call *k, size_t n, size_t count, size_t slot, float *out);
    void (*leave)(const mls_conv_call *k, size_t slot); /* what mls_conv_leave does */
    void (*end)(const mls_conv_call *k, size_t ky);     /* sums of a kernel row to the output */
};

static int mls__weighted(const mls_conv_call *k)
{
    return k->direction == MLS_BACKWARD_WEIGHT;
}

/* The tensor of image n of an operand, and which of its own images that is. */
static const mls_tensor *mls__tensor_of(const mls_source *s, size_t *n)
{
    const mls_tensor *t = s->operand ? &s->operand->tensor : s->tensor;
    const uint8_t *at = (const uint8_t *)(const void *)t;
    if (!s->step) return t;
    at += s->step * *n, *n = 0;
    return (const mls_tensor *)(const void *)at;
}

/* How sums become floats: by three factors, one after the other, or at once. */
typedef struct mls__scale {
    float factors[3];
    float single; /* for 32-bit sums: the product of all, where it gives the same bits, or 0 */
} mls__scale;

static mls__scale mls__scale_of(const mls_conv_call *k, size_t n)
{
    /* 2^31 or, of two planes, 2^48 times most is finite */
    const float least = 1.1754944e-38f, most = k->planes[0] + k->planes[1] > 2 ? 1e24f : 1e28f;
    mls__scale s;
    float folded, both;
    memset(&s, 0, sizeof s);
    if (k->source[0].fp32) return s;
    s.factors[0] = k->fold, s.factors[2] = k->units;
    s.factors[1] =
        mls__tensor_of(&k->source[0], &n)->scale * mls__tensor_of(&k->source[1], &n)->scale;
    /* both powers of two are exact, unless something leaves the normal numbers */
    folded = k->fold * s.factors[1], both = folded * k->units;
    if (folded >= least && folded < most && both >= least && both < most && s.factors[1] >= least) {
        s.single = both;
    }
    return s;
}

/* ---------------------------------------------------------------------------------- >>fold
   Tensors to integers. */

/* Largest k that a tensor uses: groups of zeros, which sit at the bottom, do not count. pending:
   t->peak tells them, and the codes may be missing yet. -1: a group code that is none (S_g <= 1). */
static int mls__k_used(const mls_tensor *t, int pending)
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
    for (size_t at = 0; at < n * c; at++) {
        size_t i = at / c, ch = at % c, end = pending ? 0 : image;
        if (mls__k(f, mls__group(t, (int32_t)i, (int32_t)ch)) != bottom) continue;
        if (pending && t->peak[at] != 0) return bottom;
        for (size_t e = ch; e < end; e += c) {
            if (mls__code_get(t->code, bits, i * image + e)) return bottom;
        }
    }
    return most;
}

/* Largest magnitude with its fraction, folded to k; above 2^32 only says "too large". */
static int64_t mls__folded_max(mls_format f, int k)
{
    int64_t q = mls__grid(f, (uint32_t)mls__code_max(f));
    return q >> 32 || k > 30 ? INT64_MAX >> 1 : q << (k + f.mg);
}

/* Largest magnitude with its fraction inside a group. */
static int64_t mls__group_max(mls_format f)
{
    int64_t q = mls__folded_max(f, 0);
    return f.mg ? q / 2 * 3 : q; /* q is doubled there */
}

/* Room for the multipliers and shifts of channels, and for a row of integers that become planes. */
typedef struct mls__folding {
    int16_t *multiplier;
    int32_t *shift, *row;
} mls__folding;

static mls__folding mls__take_folding(const mls_conv_call *k, mls__cursor *at)
{
    const mls__geometry *g = &k->g;
    size_t channels = mls__most(g->c, g->oc) + MLS__AHEAD;
    int planes = k->planes[0] + k->planes[1] > 2;
    mls__folding f;
    f.multiplier = (int16_t *)mls__take(at, channels * sizeof(int16_t));
    f.shift = (int32_t *)mls__take(at, planes || k->pairs ? channels * sizeof(int32_t) : 0);
    f.row = (int32_t *)mls__take(
        at, planes ? mls__most(g->w * g->c, g->ow * g->oc) * sizeof(int32_t) : 0);
    return f;
}

/* Folding multiplier of a group, and what of it waits for the split into planes. */
static int16_t mls__multiplier(const mls_conv_call *k, int which, uint32_t g, int32_t *shift)
{
    int by = k->k[which] - mls__k(k->format[which], g);
    int16_t fraction = (int16_t)mls__fraction(k->format[which], g);
    *shift = 0;
    if (k->pairs) return fraction;
    if (by < 0) return 0; /* of zeros */
    if (k->planes[which] == 1) return (int16_t)(fraction << by);
    *shift = by;
    return fraction;
}

/* Multipliers of the channels of image n (of c_out n), and their repetition. */
static void mls__multipliers(const mls_conv_call *k, int which, const mls_tensor *t, size_t n,
                             const mls__folding *f)
{
    size_t c = (size_t)t->shape.c;
    for (size_t ch = 0; ch < c; ch++) {
        int32_t shift;
        f->multiplier[ch] =
            mls__multiplier(k, which, mls__group(t, (int32_t)n, (int32_t)ch), &shift);
        if (k->planes[which] > 1) f->shift[ch] = shift;
    }
    for (size_t ch = c; ch < c + MLS__AHEAD; ch++) {
        f->multiplier[ch] = f->multiplier[ch - c];
        if (k->planes[which] > 1) f->shift[ch] = f->shift[ch - c];
    }
}

/* Whole pixels from element first on; of two planes the upper one goes to high, and they are no more
   than a row. */
static void mls__load(const mls_conv_call *k, int which, const mls_tensor *t, const mls__folding *f,
                      size_t first, size_t count, uint32_t flip, uint8_t *to, uint8_t *high)
{
    mls__fold x;
    x.code = t->code, x.format = t->format, x.multiplier = f->multiplier;
    x.channels = (size_t)t->shape.c, x.flip = flip;
    if (k->planes[which] == 1) {
        k->kernel->fold(&x, first, count, 0, k->size, to);
        return;
    }
    k->kernel->fold(&x, first, count, 0, 4, (uint8_t *)f->row);
    k->kernel->split(f->row, f->shift, x.channels, count, k->bits[which], (int16_t *)(void *)to,
                     (int16_t *)(void *)high);
}

/* Image n of the second operand, folded, with its padding; its planes are so many bytes apart. */
static void mls__pad_image(const mls_conv_call *k, size_t n, const mls__folding *f, uint8_t *image,
                           size_t plane)
{
    const mls__geometry *g = &k->g;
    size_t pixel = g->c * k->size, row = g->cols * pixel, of = n;
    size_t w = mls__least(g->w, g->cols - mls__least(g->left, g->cols));
    const mls_tensor *t = k->source[1].fp32 ? 0 : mls__tensor_of(&k->source[1], &of);
    for (int p = 0; p < k->planes[1]; p++) {
        memset(image + (size_t)p * plane, (int)k->bias, g->rows * row);
    }
    if (t) mls__multipliers(k, 1, t, of, f);
    for (size_t y = 0; y < g->h && y + g->top < g->rows && w > 0; y++) {
        size_t at = (of * g->h + y) * g->w * g->c;
        uint8_t *to = image + (y + g->top) * row + g->left * pixel;
        if (t)
            mls__load(k, 1, t, f, at, w * g->c, k->bias, to, to + plane);
        else
            memcpy(to, k->source[1].fp32 + at, w * pixel);
    }
}

/* Bytes of a padded image, with what a tile touches behind it. */
static size_t mls__image_bytes(const mls__geometry *g, size_t size)
{
    size_t pixels = g->rows * g->cols + g->stride_x * (MLS__BEYOND + g->kw);
    pixels += (g->apart_x - 1) * g->kw;
    return mls__align(pixels * g->c * size + MLS__SLACK, MLS__ALIGN);
}

/* ---------------------------------------------------------------------------------- >>pack
   The weights of forward and backward-data. */

/* Where the weights (co, ky, kx, *) go: phase, row and column of the taps. */
typedef struct mls__place {
    size_t phase, row, col;
} mls__place;

/* Sets of packed weights: residues of the stride that backward-data goes through. */
static size_t mls__weight_phases(const mls_conv_call *k)
{
    return k->direction == MLS_BACKWARD_DATA ? k->g.residues_y * k->g.residues_x : 1;
}

static mls__place mls__weight_place(const mls_conv_call *k, size_t ky, size_t kx)
{
    const mls__geometry *g = &k->g;
    mls__place p = {0, ky, kx};
    size_t sy = g->residues_y, sx = g->residues_x;
    if (k->direction == MLS_BACKWARD_DATA) {
        p.phase = ky % sy * sx + kx % sx;
        p.row = mls__up_div(g->kh - ky % sy, sy) - 1 - ky / sy;
        p.col = mls__up_div(g->kw - kx % sx, sx) - 1 - kx / sx;
    }
    return p;
}

/* Bytes from the start of the weights to the element of a tap, a lane and a channel. */
static size_t mls__weight_at(const mls_conv_call *k, mls__place p, size_t lane, size_t channel)
{
    const mls__data *d = &k->data;
    size_t at = p.phase * d->phase + lane / MLS__LANE * d->block + p.row * d->row;
    size_t index = p.col * k->g.c + channel, each = MLS__WORD / d->cell;
    if (d->pair) at += channel * d->pair, index = p.col * each; /* a word for each tap */
    return at + (index / each * MLS__LANE + lane % MLS__LANE) * MLS__WORD + index % each * d->cell;
}

/* The places of the elements that follow one: run of them step bytes apart, then jump bytes more. */
typedef struct mls__walk {
    size_t at, step, jump, run, left;
} mls__walk;

/* From an element on, along the channels of the weights: lanes in backward-data, where the first one
   begins a block. */
static mls__walk mls__weight_walk(const mls_conv_call *k, mls__place p, size_t lane, size_t channel)
{
    const mls__data *d = &k->data;
    mls__walk x;
    x.at = mls__weight_at(k, p, lane, channel);
    if (k->direction == MLS_BACKWARD_DATA) {
        x.run = x.left = MLS__LANE, x.step = MLS__WORD, x.jump = d->block - MLS__LANE * MLS__WORD;
    } else if (d->pair) {
        x.run = x.left = 1, x.step = 0, x.jump = d->pair;
    } else {
        x.run = MLS__WORD / d->cell, x.step = d->cell, x.jump = (MLS__LANE - 1) * MLS__WORD;
        x.left = x.run - (p.col * k->g.c + channel) % x.run;
    }
    return x;
}

MLS__INLINE void mls__scatter(mls__walk x, const uint8_t *from, size_t count, size_t size,
                              uint8_t *to)
{
    to += x.at;
    for (size_t i = 0; i < count; i++) {
        memcpy(to, from + i * size, size);
        to += x.step;
        if (--x.left == 0) to += x.jump, x.left = x.run;
    }
}

/* Sum of the magnitudes that a lane meets in strip words of a row of taps, at most. */
static int64_t mls__row_largest(const mls_conv_call *k, size_t strip)
{
    const mls__data *d = &k->data;
    int64_t most = 0;
    size_t rows = d->plane / d->row, high = d->cell == 1 ? d->plane : 0;
    for (size_t at = 0; at < rows * d->words; at += mls__least(strip, d->words - at % d->words)) {
        size_t left = mls__least(strip, d->words - at % d->words);
        const uint8_t *p = d->packed + at * MLS__LANE * MLS__WORD;
        int64_t sum[MLS__LANE] = {0};
        for (size_t i = 0; i < left * MLS__LANE; i++, p += MLS__WORD) {
            int16_t v[2];
            memcpy(v, p, sizeof v);
            for (size_t j = 0; j < MLS__WORD && high; j++) { /* planes of bytes */
                int32_t both = p[j] + 256 * (int8_t)p[j + high];
                sum[i % MLS__LANE] += both < 0 ? -both : both;
            }
            if (!high) sum[i % MLS__LANE] += (v[0] < 0 ? -v[0] : v[0]) + (v[1] < 0 ? -v[1] : v[1]);
        }
        for (int lane = 0; lane < MLS__LANE; lane++) most = sum[lane] > most ? sum[lane] : most;
    }
    return most;
}

static void mls__pack_fp32(mls_conv_call *k)
{
    const mls__geometry *g = &k->g;
    int forward = k->direction == MLS_FORWARD;
    size_t step = g->kh * g->kw * g->ci; /* from co to co */
    memset(k->data.packed, 0, k->data.plane);
    for (size_t co = 0; co < g->co; co += forward ? MLS__LANE : 1)
        for (size_t tap = 0; tap < g->kh * g->kw; tap++) {
            mls__place p = mls__weight_place(k, tap / g->kw, tap % g->kw);
            const float *from = k->source[0].fp32 + co * step + tap * g->ci;
            size_t lanes = mls__least(g->co - co, MLS__LANE);
            for (size_t i = 0; i < g->ci; i += forward ? 1 : MLS__LANE) {
                size_t at = forward ? mls__weight_at(k, p, co, i) : mls__weight_at(k, p, i, co);
                float *to = (float *)(void *)(k->data.packed + at);
                if (!forward) lanes = mls__least(g->ci - i, MLS__LANE);
                for (size_t j = 0; j < lanes; j++) to[j] = from[forward ? j * step + i : i + j];
            }
        }
}

/* Takes the bias of some weights (co, ky, kx, c0 ..) off: sums of rows, which are added up later.
   Sums that wrap are refused later. */
static void mls__pack_bias(const mls_conv_call *k, mls__place p, size_t co, size_t c0, size_t count,
                           const int8_t *v)
{
    const mls__geometry *g = &k->g;
    size_t lanes = g->blocks * MLS__LANE;
    int forward = k->direction == MLS_FORWARD;
    uint32_t *to = (uint32_t *)k->data.bias + (p.phase * (g->taps_y + 1) + p.row + 1) * lanes;
    for (size_t i = 0; i < count; i++) {
        to[forward ? co : c0 + i] -= (uint32_t)((int32_t)k->bias * v[i]);
    }
}

/* MLS__AHEAD or fewer weights (co, ky, kx, c0 ..) to their places. */
static MLS__APART void mls__pack_some(const mls_conv_call *k, mls__place p, size_t co, size_t c0,
                                      size_t count, const uint8_t *values, const int32_t *shift)
{
    const mls__data *d = &k->data;
    int forward = k->direction == MLS_FORWARD;
    mls__walk x = mls__weight_walk(k, p, forward ? co : c0, forward ? c0 : co);
    int16_t low[MLS__AHEAD], high[MLS__AHEAD];
    if (k->planes[0] == 2) {
        int32_t v[MLS__AHEAD];
        memcpy(v, values, sizeof v);
        k->kernel->split(v, shift, MLS__AHEAD, count, k->bits[0], low, high);
        mls__scatter(x, (uint8_t *)low, count, 2, d->packed);
        mls__scatter(x, (uint8_t *)high, count, 2, d->packed + d->plane);
    } else if (d->cell == k->size || d->pair) {
        if (d->cell == 1) mls__scatter(x, values, count, 1, d->packed);
        if (d->cell == 2) mls__scatter(x, values, count, 2, d->packed);
    } else { /* planes of bytes */
        uint8_t half[2][MLS__AHEAD];
        memcpy(low, values, sizeof low);
        for (size_t i = 0; i < count; i++) {
            half[0][i] = (uint8_t)(low[i] & 255), half[1][i] = (uint8_t)(low[i] >> 8);
        }
        mls__scatter(x, half[0], count, 1, d->packed);
        mls__scatter(x, half[1], count, 1, d->packed + d->plane);
    }
    if (d->bias) mls__pack_bias(k, p, co, c0, count, (const int8_t *)values);
}

static void mls__pack_integers(mls_conv_call *k)
{
    const mls__geometry *g = &k->g;
    const mls_tensor *t =
        k->source[0].operand ? &k->source[0].operand->tensor : k->source[0].tensor;
    size_t fold = k->planes[0] == 2 ? 4 : k->data.pair ? 2 : k->size;
    uint8_t values[MLS__AHEAD * 4];
    int16_t multiplier[MLS__AHEAD];
    int32_t shift[MLS__AHEAD];
    mls__fold f;
    memset(k->data.packed, 0, k->data.planes * k->data.plane);
    memset(&f, 0, sizeof f);
    memset(multiplier, 0, sizeof multiplier);
    memset(shift, 0, sizeof shift);
    f.code = t->code, f.format = t->format, f.multiplier = multiplier, f.channels = MLS__AHEAD;
    for (size_t co = 0; co < g->co; co++)
        for (size_t c0 = 0; c0 < g->ci; c0 += MLS__AHEAD) {
            size_t count = mls__least(g->ci - c0, MLS__AHEAD);
            for (size_t i = 0; i < count; i++) {
                uint32_t group = mls__group(t, (int32_t)co, (int32_t)(c0 + i));
                multiplier[i] = mls__multiplier(k, 0, group, &shift[i]);
            }
            for (size_t tap = 0; tap < g->kh * g->kw; tap++) {
                size_t first = (co * g->kh * g->kw + tap) * g->ci + c0;
                if (k->integers)
                    memcpy(values, k->integers + first * k->size, count * k->size);
                else
                    k->kernel->fold(&f, first, count, 0, fold, values);
                mls__pack_some(k, mls__weight_place(k, tap / g->kw, tap % g->kw), co, c0, count,
                               values, shift);
            }
        }
}

/* Numbers of sums that take the bias off. */
static size_t mls__bias_sums(const mls_conv_call *k)
{
    return k->bias ? mls__weight_phases(k) * (k->g.taps_y + 1) * k->g.blocks * MLS__LANE : 0;
}

/* The weights in the layout of mls__data. */
static void mls__pack_weights(mls_conv_call *k)
{
    size_t lanes = k->g.blocks * MLS__LANE, sums = mls__bias_sums(k);
    uint32_t *bias = (uint32_t *)k->data.bias;
    if (k->method->kind == MLS__F32) {
        mls__pack_fp32(k);
        return;
    }
    if (bias) memset(bias, 0, sums * sizeof *bias);
    mls__pack_integers(k);
    for (size_t i = lanes; i < sums; i++) {
        if (i % ((k->g.taps_y + 1) * lanes) >= lanes) bias[i] += bias[i - lanes];
    }
    if (k->method->kind != MLS__S16 || k->data.pair) return;
    k->data.row_largest = mls__row_largest(k, k->data.words);
    if (k->data.words > MLS__STRIP) k->data.strip_largest = mls__row_largest(k, MLS__STRIP);
}

/* ---------------------------------------------------------------------------------- >>data
   Forward and backward-data on vectors: int8, int16 in one or two planes of either operand, fp32.
   One image at a time, phase by phase, tile by tile. */

/* One side of a part of the output that takes the same taps. Taps of a row should follow one another:
   where they are apart, columns that are so far apart do in a copy of the image, residue by residue,
   and outputs are taken in as many runs. */
typedef struct mls__side {
    size_t taps, outs;
    size_t first, step; /* the first output, and their distance in the output image */
    /* its first tap in the padded image, and their distance from output to output */
    size_t at, stride;
} mls__side;

static mls__side mls__side_forward(size_t s, size_t k, size_t out, size_t run, size_t runs)
{
    mls__side p;
    p.taps = k, p.first = run, p.step = runs;
    p.outs = run < out ? (out - 1 - run) / runs + 1 : 0;
    p.at = run * s, p.stride = runs * s;
    return p;
}

static mls__side mls__side_back(size_t s, size_t d, size_t k, size_t pad, size_t out, size_t before,
                                size_t phase, size_t run, size_t runs)
{
    mls__side p;
    size_t period = s / mls__common(s, d), last, residue, t;
    p.taps = mls__up_div(k - phase, period);
    last = (phase + period * (p.taps - 1)) * d, residue = last % s;
    t = (pad > residue ? mls__up_div(pad - residue, s) : 0) + run;
    p.first = s * t + residue - pad, p.step = s * runs;
    p.outs = p.first < out ? (out - 1 - p.first) / p.step + 1 : 0;
    p.at = t + before - last / s, p.stride = runs;
    return p;
}

typedef struct mls__phase {
    size_t weights; /* which of the packed ones */
    mls__side y, x;
} mls__phase;

static MLS__APART mls__phase mls__phase_make(const mls_conv_call *k, size_t index)
{
    const mls__geometry *g = &k->g;
    const mls_conv *c = &k->conv;
    size_t run = index % g->runs;
    mls__phase p;
    p.weights = index / g->runs;
    if (k->direction == MLS_BACKWARD_DATA) {
        p.y = mls__side_back(g->stride_y, (size_t)c->dilation_h, g->kh, (size_t)c->pad_top, g->oh,
                             g->top, p.weights / g->residues_x, 0, 1);
        p.x = mls__side_back(g->stride_x, (size_t)c->dilation_w, g->kw, (size_t)c->pad_left, g->ow,
                             g->left, p.weights % g->residues_x, run, g->runs);
    } else {
        p.y = mls__side_forward(g->stride_y, g->kh, g->oh, 0, 1);
        p.x = mls__side_forward(g->stride_x, g->kw, g->ow, run, g->runs);
    }
    p.x.at = p.x.at % g->apart_x * (g->cols / g->apart_x) + p.x.at / g->apart_x;
    p.x.stride /= g->apart_x;
    return p;
}

static size_t mls__phases(const mls_conv_call *k)
{
    return mls__weight_phases(k) * k->g.runs;
}

/* Rows of the next tile when left are to be done: at most most, a power of two; or 7, where there is
   such a tile (seven), for images whose sides are its multiples. */
static int mls__tile_rows(int most, int seven, size_t left)
{
    int mr = most;
    if (mr == 8 && seven && left % 7 == 0 && left <= 21) return 7;
    while (mr > 1 && (size_t)mr / 2 >= left) mr /= 2;
    return mr;
}

/* Blocks of the next tile. */
static int mls__tile_blocks(const mls__kernel *k, size_t left)
{
    if (left == 3 && k->rows[3]) return 3;
    return left > 1 && k->rows[2] ? 2 : 1;
}

/* Sizes of the weights, whose elements take cell bytes, and of images. */
static void mls__data_shape(mls_conv_call *k, size_t cell, size_t words, int pairs)
{
    mls__data *d = &k->data;
    d->cell = cell, d->words = words, d->row = words * MLS__LANE * MLS__WORD;
    d->pair = pairs ? k->g.taps_y * d->row : 0;
    d->block = k->g.taps_y * d->row * (pairs ? k->g.c : 1);
    d->phase = k->g.blocks * d->block, d->plane = mls__weight_phases(k) * d->phase;
    d->image = mls__image_bytes(&k->g, k->size), d->byte_plane = 0;
    d->planes = cell < k->size && !pairs ? 2 : (size_t)k->planes[0];
    d->together = 1;
}

/* Where the weights leave no room for an image in the cache, each block of them passes over several
   images. */
static void mls__data_together(mls_conv_call *k)
{
    mls__data *d = &k->data;
    size_t image = d->image + 2 * d->byte_plane;
    if (d->planes * d->plane <= MLS__GATHER) return;
    d->together = mls__most(1, mls__least(2 * MLS__GATHER / image, k->g.n));
}

/* The packed weights, and what takes their bias off. */
static void mls__take_packed(mls_conv_call *k, mls__cursor *at)
{
    mls__data *d = &k->data;
    size_t sums = mls__bias_sums(k) * sizeof(int32_t);
    d->packed = (uint8_t *)mls__take(at, d->planes * d->plane + MLS__SLACK);
    d->bias = (int32_t *)mls__take(at, sums);
    if (!sums) d->bias = 0;
}

typedef struct mls__data_slot {
    uint8_t *image, *parted, *bytes, *room;
    mls__folding fold;
} mls__data_slot;

static size_t mls__data_slot_at(const mls_conv_call *k, uint8_t *base, mls__data_slot *s)
{
    mls__cursor at = {base, 0};
    const mls__data *d = &k->data;
    size_t images = k->images ? 0 : (size_t)k->planes[1] * d->image;
    size_t parted = k->g.apart_x > 1 ? (size_t)k->planes[1] * d->image : 0;
    s->image = (uint8_t *)mls__take(&at, d->together * images);
    s->parted = (uint8_t *)mls__take(&at, d->together * parted);
    s->bytes = (uint8_t *)mls__take(&at, d->together * 2 * d->byte_plane);
    s->room = (uint8_t *)mls__take(
        &at, k->method->kind == MLS__F32 || !k->kernel->amx ? 0 : MLS__AREA_ROOM);
    s->fold = mls__take_folding(k, &at);
    return at.at;
}

static mls__data_slot mls__data_slot_of(const mls_conv_call *k, size_t slot)
{
    mls__data_slot s;
    mls__data_slot_at(k, k->slot + slot * k->slot_bytes, &s);
    return s;
}

/* The parts that all methods of these directions have. */
static void mls__data_layout(mls_conv_call *k, mls__cursor *at)
{
    mls__data_slot s;
    if (k->packed) { /* before */
        k->data.packed = (uint8_t *)(uintptr_t)k->packed;
        k->data.bias = (int32_t *)(uintptr_t)k->packed_bias;
    } else {
        mls__take_packed(k, at);
    }
    k->slot_bytes = mls__data_slot_at(k, 0, &s);
}

static void mls__tile_layout(mls_conv_call *k, mls__cursor *at)
{
    mls__data_shape(k, k->size, mls__up_div(k->g.depth * k->size, MLS__WORD), 0);
    if (k->planes[0] + k->planes[1] == 2) mls__data_together(k);
    mls__data_layout(k, at);
}

/* How many rows of taps 32 bits hold, by what the weights really are. */
static void mls__rows_fit(mls_conv_call *k)
{
    mls__data *d = &k->data;
    int64_t most = k->most[1], row = k->planes[0] == 1 ? most * d->row_largest : INT64_MAX;
    int64_t fit = row > INT32_MAX ? 0 : INT32_MAX / (row ? row : 1);
    size_t words = (size_t)k->segment * k->size / MLS__WORD;
    d->rows_fit = k->g.taps_y;
    if (k->method->kind != MLS__S16) return;
    if ((size_t)k->segment < k->g.taps_y * (k->g.depth + MLS__WORD) && fit < (int64_t)d->rows_fit) {
        d->rows_fit = (size_t)fit;
    }
    d->words_fit = words;
    if (k->planes[0] == 1 && d->strip_largest && d->words_fit < MLS__STRIP &&
        most * d->strip_largest <= INT32_MAX) {
        d->words_fit = MLS__STRIP;
    }
}

static void mls__tile_begin(mls_conv_call *k)
{
    if (!k->packed) mls__pack_weights(k);
    mls__rows_fit(k);
}

/* Sums of d in 64 bits: of either operand's planes, and by parts that 32 bits hold. */
static MLS__APART void mls__dot_parts(const mls_conv_call *k, mls__dot d, int mr, int nb,
                                      int64_t *sum)
{
    static const int32_t zero[MLS__LANE * 3] = {0};
    int32_t shift[MLS__ROWS];
    size_t rows = d.rows, all = d.words, row_step = k->data.rows_fit, word_step = all;
    mls__dot part;
    if (row_step == 0) {
        size_t words = (size_t)k->segment * k->size / MLS__WORD; /* of any rows */
        word_step = mls__least(k->data.words_fit, all);
        row_step = mls__most(1, mls__least(words / all, rows));
    }
    memset(sum, 0, sizeof(int64_t) * (size_t)(mr * nb * MLS__LANE));
    d.put = MLS__PUT_WIDE, d.count = (size_t)mr, d.lanes = (size_t)(nb * MLS__LANE);
    d.wide = sum, d.wide_step = d.lanes;
    d.lane_k = zero, d.row_shift = shift;
    part = d;
    for (int plane = 0; plane < k->planes[0] * k->planes[1]; plane++) {
        int first = plane % k->planes[0], second = plane / k->planes[0];
        for (int i = 0; i < MLS__ROWS; i++) shift[i] = first * k->bits[0] + second * k->bits[1];
        for (size_t row = 0; row < rows; row += row_step) {
            for (size_t word = 0; word < all; word += word_step) {
                part.rows = mls__least(rows - row, row_step);
                part.words = mls__least(all - word, word_step);
                part.a = d.a + (size_t)second * k->data.image + row * d.a_row + word * d.a_word;
                part.b = d.b + (size_t)first * k->data.plane + row * d.b_row + word * d.b_word;
                k->kernel->dot(k->method->kind, mr, nb, &part);
                part.init = 0;
            }
        }
    }
}

/* A tile of outputs. */
static MLS__APART void mls__run_tile(const mls_conv_call *k, const mls__scale *scale,
                                     const mls__dot *d, int mr, int nb)
{
    union {
        int64_t wide[MLS__TILE];
        int32_t narrow[MLS__TILE];
    } sum;
    int kind = k->method->kind, planes = k->planes[0] * k->planes[1];
    int whole = k->data.rows_fit >= d->rows && scale->single > 0; /* 32 bits hold a sum */
    size_t step = (size_t)(nb * MLS__LANE);
    if (kind == MLS__F32 || (whole && planes == 1)) {
        k->kernel->dot(kind, mr, nb, d);
    } else if (whole && planes == 2) {
        mls__dot e = *d;
        int second = k->planes[1] == 2;
        e.c = sum.narrow, e.c_step = step, e.put = MLS__PUT_SUMS;
        if (second) e.a += k->data.image;
        if (!second) e.b += k->data.plane;
        k->kernel->dot(kind, mr, nb, &e);
        e.a = d->a, e.b = d->b, e.put = MLS__PUT_JOINED;
        e.power = (double)(1 << k->bits[second]);
        k->kernel->dot(kind, mr, nb, &e);
    } else {
        mls__dot_parts(k, *d, mr, nb, sum.wide);
        for (size_t m = 0; m < d->count; m++) {
            k->kernel->emit(sum.wide + m * step, d->lanes, scale->factors,
                            d->out + m * d->out_step);
        }
    }
}

/* Where a tile of floats goes on: from the outputs, of which there may be fewer than its rows. */
static void mls__tile_go_on(mls__dot *d, int mr, int nb, float *part)
{
    size_t step = (size_t)(nb * MLS__LANE);
    d->init = (const int32_t *)(const void *)d->out, d->init_step = d->out_step;
    if (d->count == (size_t)mr) return;
    for (size_t m = 0; m < d->count; m++) {
        memcpy(part + m * step, d->out + m * d->out_step, step * sizeof(float));
    }
    d->init = (const int32_t *)(const void *)part, d->init_step = step;
}

/* Rows of taps, of count from tap on, that meet the image and not only its padding. */
typedef struct mls__rows {
    size_t from, count;
    size_t first; /* the first one of all */
    int some;     /* whether there is any */
} mls__rows;

static mls__rows mls__rows_inside(const mls_conv_call *k, const mls__phase *p, size_t y, size_t tap,
                                  size_t count)
{
    mls__rows x;
    size_t at = p->y.at + y * p->y.stride, inside = k->g.top + k->g.h, end;
    x.first = k->g.top > at ? k->g.top - at : 0, end = inside > at ? inside - at : 0;
    if (k->g.apart_y > 1) {
        x.first = mls__up_div(x.first, k->g.apart_y), end = mls__up_div(end, k->g.apart_y);
    }
    end = mls__least(end, p->y.taps);
    x.some = x.first < end;
    if (!x.some) x.first = end = 0;
    x.from = mls__most(tap, x.first);
    end = mls__least(end, tap + count);
    x.count = end > x.from ? end - x.from : 0;
    return x;
}

/* What takes the bias of these rows off, for nb blocks; perhaps in room. */
static const int32_t *mls__bias_of(const int32_t *sums, size_t lanes, mls__rows rows, int nb,
                                   int32_t *room)
{
    const int32_t *before = sums + rows.from * lanes, *all = before + rows.count * lanes;
    if (rows.from == 0) return all;
    for (int i = 0; i < nb * MLS__LANE; i++) room[i] = all[i] - before[i];
    return room;
}

/* Part of the taps of a phase: rows from tap on, words of each from word on. */
typedef struct mls__taps {
    size_t tap, rows, word, words;
} mls__taps;

/* One row of outputs, of some blocks. d: what all tiles have in common; bias: of these blocks. */
static MLS__APART void mls__tile_row(const mls_conv_call *k, const mls__scale *scale,
                                     const mls__phase *p, mls__taps taps, mls__dot *d, int nb,
                                     const int32_t *bias, const uint8_t *image, size_t y,
                                     float *out)
{
    int32_t room[3 * MLS__LANE];
    size_t pixel = k->g.c * k->size;
    mls__rows rows = mls__rows_inside(k, p, y, taps.tap, taps.rows);
    const uint8_t *a = image, *b = d->b;
    const int32_t *init = 0;
    int mr, go_on = rows.from > rows.first || taps.word > 0;
    a += (p->y.at + y * p->y.stride + rows.from * k->g.apart_y) * k->g.cols * pixel;
    d->rows = rows.count, d->words = taps.words;
    if (d->rows == 0 && (go_on || rows.some)) return;
    if (bias) init = mls__bias_of(bias, k->g.blocks * MLS__LANE, rows, nb, room);
    d->b = b + rows.from * d->b_row + taps.word * d->b_word;
    for (size_t x = 0; x < p->x.outs; x += (size_t)mr) {
        float part[MLS__TILE];
        mr = mls__tile_rows(k->kernel->rows[nb], nb == 2, p->x.outs - x);
        d->count = mls__least(p->x.outs - x, (size_t)mr);
        d->a = a + (p->x.at + x * p->x.stride) * pixel + taps.word * MLS__WORD;
        d->out = out + (p->x.first + x * p->x.step) * k->g.lanes;
        d->init = init, d->init_step = 0;
        if (go_on) mls__tile_go_on(d, mr, nb, part);
        mls__run_tile(k, scale, d, mr, nb);
    }
    d->b = b;
}

/* One phase of some images. */
static MLS__APART void mls__tile_phase(const mls_conv_call *k, const mls__scale *scale,
                                       const uint8_t *images, size_t step, size_t count,
                                       size_t index, float *out)
{
    const mls__geometry *g = &k->g;
    const mls__data *w = &k->data;
    mls__phase p = mls__phase_make(k, index);
    size_t pixel = g->c * k->size, all = mls__up_div(p.x.taps * pixel, MLS__WORD);
    mls__taps taps, most = {0, p.y.taps, 0, all};
    int nb;
    mls__dot d;
    memset(&d, 0, sizeof d);
    d.a_m = p.x.stride * pixel, d.a_row = g->apart_y * g->cols * pixel, d.a_word = MLS__WORD;
    d.b_word = MLS__LANE * MLS__WORD, d.b_row = w->row, d.b_block = w->block;
    d.images = 1;
    d.put = MLS__PUT_FLOATS, d.scale = scale->single;
    d.out_step = p.x.step * g->lanes;
    if (k->method->kind == MLS__F32 && w->together > 1 && g->lanes % MLS__LANE == 0) {
        most.rows = 1, most.words = MLS__STRIP; /* weights that stay in the L1 cache */
    }
    for (size_t block = 0; block < g->blocks; block += (size_t)nb) {
        size_t first = block * MLS__LANE, parts = mls__up_div(all, most.words);
        const int32_t *bias = w->bias;
        if (bias) bias += p.weights * (g->taps_y + 1) * g->blocks * MLS__LANE + first;
        nb = mls__tile_blocks(k->kernel, g->blocks - block);
        d.lanes = mls__least(g->lanes - first, (size_t)(nb * MLS__LANE));
        d.b = w->packed + p.weights * w->phase + block * w->block;
        for (size_t i = 0; i < mls__up_div(p.y.taps, most.rows) * parts; i++) {
            taps.tap = i / parts * most.rows, taps.rows = most.rows;
            taps.word = i % parts * most.words;
            taps.words = mls__least(all - taps.word, most.words);
            for (size_t line = 0; line < count * p.y.outs; line++) {
                size_t n = line / p.y.outs, y = line % p.y.outs;
                mls__tile_row(k, scale, &p, taps, &d, nb, bias, images + n * step, y,
                              out + (n * g->oh + p.y.first + y * p.y.step) * g->ow * g->lanes +
                                  first);
            }
        }
    }
}

/* Some outputs have no taps. */
static void mls__data_untouched(const mls_conv_call *k, size_t count, float *out)
{
    const mls__geometry *g = &k->g;
    if (k->direction != MLS_BACKWARD_DATA) return;
    if (g->residues_y == g->stride_y && g->residues_x == g->stride_x) return;
    memset(out, 0, count * g->oh * g->ow * g->oc * sizeof(float));
}

/* The columns of an image, residue by residue of their distance. */
static void mls__part_columns(const mls_conv_call *k, const uint8_t *from, uint8_t *to)
{
    const mls__geometry *g = &k->g;
    size_t pixel = g->c * k->size, apart = g->apart_x, width = g->cols / apart;
    for (size_t y = 0; y < g->rows; y++, from += g->cols * pixel) {
        for (size_t i = 0; i < g->cols; i++, to += pixel) {
            memcpy(to, from + (i % width * apart + i / width) * pixel, pixel);
        }
    }
}

/* The padded images from n on, made or prepared; step: bytes from one to the next. */
static const uint8_t *mls__take_images(const mls_conv_call *k, size_t n, size_t count,
                                       const mls__data_slot *s, size_t *step)
{
    const uint8_t *images = s->image;
    size_t planes = (size_t)k->planes[1], from = planes * k->data.image;
    if (k->images) {
        images = k->images + n * k->images_step, from = k->images_step;
    } else {
        for (size_t i = 0; i < count; i++) {
            mls__pad_image(k, n + i, &s->fold, s->image + i * from, k->data.image);
        }
    }
    *step = from;
    if (k->g.apart_x == 1) return images;
    *step = planes * k->data.image;
    for (size_t i = 0; i < count * planes; i++) {
        size_t image = i / planes, plane = i % planes * k->data.image;
        mls__part_columns(k, images + image * from + plane, s->parted + image * *step + plane);
    }
    return s->parted;
}

static void mls__tile_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                             float *out)
{
    mls__data_slot s = mls__data_slot_of(k, slot);
    mls__scale scale = mls__scale_of(k, n);
    size_t step;
    const uint8_t *images = mls__take_images(k, n, count, &s, &step);
    mls__data_untouched(k, count, out);
    for (size_t index = 0; index < mls__phases(k); index++) {
        mls__tile_phase(k, &scale, images, step, count, index, out);
    }
}

/* --------------------------------------------------------------------------------- >>pairs
   Group pairs whose shifts round, or that do not fold: forward and backward-data channel by channel.
   The sum of a pair is one tile's, of words that hold one tap each, and is shifted into 64 bits. */

static void mls__pairs_layout(mls_conv_call *k, mls__cursor *at)
{
    mls__data_shape(k, 2, k->g.taps_x, 1);
    k->data.lane_k = (int32_t *)mls__take(at, k->g.blocks * k->g.c * MLS__LANE * sizeof(int32_t));
    mls__data_layout(k, at);
}

static void mls__pairs_begin(mls_conv_call *k)
{
    size_t c = k->g.c;
    mls__pack_weights(k);
    for (size_t i = 0; i < k->g.blocks * c * MLS__LANE; i++) {
        size_t lane = i / MLS__LANE / c * MLS__LANE + i % MLS__LANE, channel = i / MLS__LANE % c;
        int forward = k->direction == MLS_FORWARD;
        k->data.lane_k[i] = 0;
        if (lane >= k->g.lanes) continue;
        k->data.lane_k[i] = mls__k(k->format[0], mls__group(k->source[0].tensor,
                                                            (int32_t)(forward ? lane : channel),
                                                            (int32_t)(forward ? channel : lane)));
    }
}

/* Some outputs side by side of a block. d.a, d.b: those of channel 0; shift: of the channels. */
static MLS__APART void mls__pairs_tile(const mls_conv_call *k, mls__dot d, int mr,
                                       const int32_t *shift, const mls__scale *scale)
{
    int64_t sum[MLS__TILE];
    int32_t row_shift[MLS__ROWS];
    size_t lanes = d.lanes;
    memset(sum, 0, (size_t)(mr * MLS__LANE) * sizeof *sum);
    d.wide = sum, d.wide_step = d.lanes = MLS__LANE, d.row_shift = row_shift;
    for (size_t c = 0; c < k->g.c; c++) {
        for (int i = 0; i < mr; i++) row_shift[i] = shift[c];
        k->kernel->dot(MLS__S16, mr, 1, &d);
        d.a += MLS__WORD, d.b += k->data.pair, d.lane_k += MLS__LANE;
    }
    for (size_t m = 0; m < d.count; m++) {
        k->kernel->emit(sum + m * MLS__LANE, lanes, scale->factors, d.out + m * d.out_step);
    }
}

static void mls__pairs_phase(const mls_conv_call *k, const uint8_t *image, const int32_t *shift,
                             const mls__scale *scale, size_t index, float *out)
{
    const mls__geometry *g = &k->g;
    const mls__data *w = &k->data;
    mls__phase p = mls__phase_make(k, index);
    size_t pixel = g->c * MLS__WORD;
    int most = k->kernel->rows[1], mr;
    mls__dot d;
    memset(&d, 0, sizeof d);
    d.a_m = p.x.stride * pixel, d.a_row = g->apart_y * g->cols * pixel, d.a_word = pixel;
    d.b_word = MLS__LANE * MLS__WORD, d.b_row = w->row;
    d.images = 1, d.rows = p.y.taps, d.words = p.x.taps;
    d.put = MLS__PUT_WIDE, d.out_step = p.x.step * g->lanes;
    for (size_t i = 0; i < g->blocks * p.y.outs; i++) {
        size_t block = i / p.y.outs, y = i % p.y.outs, first = block * MLS__LANE;
        float *row = out + (p.y.first + y * p.y.step) * g->ow * g->lanes + first;
        d.b = w->packed + p.weights * w->phase + block * w->block;
        d.lane_k = w->lane_k + block * g->c * MLS__LANE;
        d.lanes = mls__least(g->lanes - first, MLS__LANE);
        for (size_t x = 0; x < p.x.outs; x += (size_t)mr) {
            size_t line = p.y.at + y * p.y.stride;
            mr = mls__tile_rows(most, 0, p.x.outs - x);
            d.count = mls__least(p.x.outs - x, (size_t)mr);
            d.a = image + (line * g->cols + p.x.at + x * p.x.stride) * pixel;
            d.out = row + (p.x.first + x * p.x.step) * g->lanes;
            mls__pairs_tile(k, d, mr, shift, scale);
        }
    }
}

static void mls__pairs_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                              float *out)
{
    mls__data_slot s = mls__data_slot_of(k, slot);
    mls__scale scale = mls__scale_of(k, n);
    size_t step, of = n;
    const uint8_t *image = mls__take_images(k, n, count, &s, &step);
    const mls_tensor *t = mls__tensor_of(&k->source[1], &of);
    mls__data_untouched(k, count, out);
    for (size_t c = 0; c < k->g.c; c++) {
        s.fold.shift[c] = mls__fraction_bits(k->format[0], k->format[1]) -
                          mls__k(k->format[1], mls__group(t, (int32_t)of, (int32_t)c));
    }
    for (size_t index = 0; index < mls__phases(k); index++) {
        mls__pairs_phase(k, image, s.fold.shift, &scale, index, out);
    }
}

#if MLS__HAS_AMX
/* ------------------------------------------------------------------------------------ >>amx
   The same on two-dimensional registers. */

static void mls__area_layout(mls_conv_call *k, mls__cursor *at)
{
    mls__data_shape(k, 1, mls__align(mls__up_div(k->g.depth, MLS__WORD), MLS__TILE_WORDS), 0);
    if (k->size == 2) k->data.byte_plane = mls__image_bytes(&k->g, 1);
    mls__data_together(k);
    mls__data_layout(k, at);
}

static void mls__area_phase(const mls_conv_call *k, const mls__scale *scale, uint8_t *room,
                            const uint8_t *images, size_t step, size_t count, size_t index,
                            float *out)
{
    const mls__geometry *g = &k->g;
    const mls__data *w = &k->data;
    mls__phase p = mls__phase_make(k, index);
    size_t pixel = g->c, row = g->cols * pixel, nb;
    mls__area x;
    memset(&x, 0, sizeof x);
    x.a_x = (ptrdiff_t)(p.x.stride * pixel), x.a_y = (ptrdiff_t)(p.y.stride * row);
    x.a_row = (ptrdiff_t)(g->apart_y * row), x.a_plane = (ptrdiff_t)w->byte_plane;
    x.b_row = (ptrdiff_t)w->row, x.b_block = (ptrdiff_t)w->block;
    x.b_plane = (ptrdiff_t)w->plane;
    x.rows = (int32_t)p.y.taps, x.h = (int32_t)p.y.outs, x.w = (int32_t)p.x.outs;
    x.words = (int32_t)mls__align(mls__up_div(p.x.taps * pixel, MLS__WORD), MLS__TILE_WORDS);
    x.out_x = p.x.step * g->lanes, x.out_y = p.y.step * g->ow * g->lanes;
    x.scale = w->rows_fit >= p.y.taps ? scale->single : 0;
    x.factors = scale->factors, x.room = room;
    /* Weights that nearly fit the L1 cache pass by for every tile, others for every image. */
    for (size_t block = 0; block < g->blocks && x.h > 0 && x.w > 0; block += nb) {
        size_t first = block * MLS__LANE;
        nb = w->phase * k->size <= MLS__GATHER / 8 ? g->blocks : mls__least(g->blocks - block, 2);
        x.lanes = (int32_t)mls__least(g->lanes - first, nb * MLS__LANE);
        x.b = w->packed + p.weights * w->phase + block * w->block;
        for (size_t i = 0; i < count; i++) {
            x.a = images + i * step + p.y.at * row + p.x.at * pixel;
            x.out = out + ((i * g->oh + p.y.first) * g->ow + p.x.first) * g->lanes + first;
            k->kernel->amx->area(&x);
        }
    }
}

static void mls__area_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                             float *out)
{
    mls__data_slot s = mls__data_slot_of(k, slot);
    mls__scale scale = mls__scale_of(k, n);
    size_t step, plane = k->data.byte_plane;
    const uint8_t *images = mls__take_images(k, n, count, &s, &step);
    mls__data_untouched(k, count, out);
    for (size_t i = 0; i < count && plane; i++) {
        uint8_t *low = s.bytes + i * 2 * plane;
        k->kernel->amx->bytes((const int16_t *)(const void *)(images + i * step),
                              k->g.rows * k->g.cols * k->g.c, low, low + plane);
    }
    if (plane) images = s.bytes, step = 2 * plane;
    for (size_t index = 0; index < mls__phases(k); index++) {
        mls__area_phase(k, &scale, s.room, images, step, count, index, out);
    }
}

static void mls__amx_leave(const mls_conv_call *k, size_t slot)
{
    (void)slot;
    k->kernel->amx->release();
}
#endif

/* -------------------------------------------------------------------------- >>backward-weight
   A thread gathers E and A of some images as words of neighbouring pixels, until they fill about
   MLS__GATHER, and adds their products to a sum. */

typedef struct mls__sum {
    int64_t *head;  /* terms in the 32-bit part; whether that part is to be started anew */
    int64_t *error; /* [ky][co] sums of E, which the bias of A multiplies */
    int64_t *c64;
    int32_t *c32;
    size_t count;
} mls__sum;

/* Bytes of a sum, and its parts if there is a base. */
static size_t mls__sum_layout(const mls_conv_call *k, uint8_t *base, mls__sum *s)
{
    mls__cursor at = {base, 0};
    const mls__weight *w = &k->weight;
    int narrow = k->method->kind != MLS__S16;
    s->count = w->sum_count;
    s->head = (int64_t *)mls__take(&at, 2 * sizeof(int64_t));
    s->error = (int64_t *)mls__take(&at, k->bias ? k->g.kh * w->co * sizeof(int64_t) : 0);
    s->c32 = (int32_t *)mls__take(&at, narrow ? s->count * sizeof(int32_t) : 0);
    s->c64 =
        (int64_t *)mls__take(&at, k->method->kind != MLS__F32 ? s->count * sizeof(int64_t) : 0);
    return at.at;
}

static mls__sum mls__sum_at(const mls_conv_call *k, size_t index)
{
    mls__sum s;
    mls__sum_layout(k, k->weight.sum + index * k->weight.sum_bytes, &s);
    return s;
}

static void mls__take_sums(mls_conv_call *k, mls__cursor *at)
{
    mls__sum s;
    k->weight.sums = k->slots;
    if (k->method->kind == MLS__F32) k->weight.sums = mls__least(k->g.n, MLS_CONV_BLOCKS);
    k->weight.sum_bytes = mls__sum_layout(k, 0, &s);
    k->weight.sum = (uint8_t *)mls__take(at, k->weight.sums * k->weight.sum_bytes);
}

/* Whether int8 sums of all images fit 32 bits. */
static int mls__sums_fit(const mls_conv_call *k)
{
    size_t row = k->weight.quads ? k->weight.quads * MLS__WORD : k->g.ow;
    return k->method->kind == MLS__S8 && (int64_t)(k->g.n * k->g.oh * row) <= k->segment;
}

static void mls__sums_start(mls_conv_call *k)
{
    for (size_t i = 0; i < k->weight.sums; i++) {
        mls__sum s = mls__sum_at(k, i);
        s.head[0] = 0, s.head[1] = 1;
        if (k->bias) memset(s.error, 0, k->g.kh * k->weight.co * sizeof(int64_t));
        if (s.c64 && k->method->kind != MLS__F32 && !mls__sums_fit(k))
            memset(s.c64, 0, s.count * 8);
    }
}

/* Moves the 32-bit sums on. */
static void mls__sum_flush(mls__sum *s)
{
    for (size_t i = 0; i < s->count; i++) s->c64[i] += s->c32[i];
    s->head[0] = 0, s->head[1] = 1;
}

/* What a thread has gathered. */
typedef struct mls__gathered {
    size_t images, sum;
} mls__gathered;

/* A thread's room: images and E of the second and first operand, as words, or on the line. */
typedef struct mls__weight_slot {
    mls__gathered *gathered;
    uint8_t *image, *plain, *error, *a, *e, *flat;
    size_t *tap;                 /* on tiles: bytes of A to a tap */
    uint8_t *zeros;              /* a pixel of E that is zero */
    int32_t *lane_k, *row_shift; /* of group pairs */
    mls__folding fold;
} mls__weight_slot;

static size_t mls__weight_slot_at(const mls_conv_call *k, uint8_t *base, mls__weight_slot *s)
{
    mls__cursor at = {base, 0};
    const mls__weight *w = &k->weight;
    size_t gather = k->method->kind == MLS__F32 ? w->gather : 1, lanes = k->g.blocks * MLS__LANE;
    s->gathered = (mls__gathered *)mls__take(&at, sizeof(mls__gathered));
    int in_place = k->method->kind != MLS__F32; /* floats of several images stand together */
    size_t image = k->images && in_place ? 0 : gather * (size_t)k->planes[1] * w->image;
    size_t error = k->errors && in_place ? 0 : gather * (size_t)k->planes[0] * w->error;
    s->image = (uint8_t *)mls__take(&at, image);
    s->plain = (uint8_t *)mls__take(&at, w->plain);
    s->error = (uint8_t *)mls__take(&at, error);
    s->a = (uint8_t *)mls__take(&at, (size_t)k->planes[1] * w->a_plane);
    s->e = (uint8_t *)mls__take(&at, (k->flat.planes > 1 ? 2 : (size_t)k->planes[0]) * w->e_plane);
    s->flat = (uint8_t *)mls__take(&at, k->flat.flat);
    s->tap = (size_t *)mls__take(&at, k->flat.planes ? k->g.kh * k->g.kw * sizeof(size_t) : 0);
    s->zeros = (uint8_t *)mls__take(&at, k->g.co * MLS__WORD);
    s->lane_k = (int32_t *)mls__take(&at, k->pairs ? lanes * sizeof(int32_t) : 0);
    s->row_shift = (int32_t *)mls__take(&at, k->pairs ? w->co * sizeof(int32_t) : 0);
    s->fold = mls__take_folding(k, &at);
    return at.at;
}

static mls__weight_slot mls__weight_slot_of(const mls_conv_call *k, size_t slot)
{
    mls__weight_slot s;
    mls__weight_slot_at(k, k->slot + slot * k->slot_bytes, &s);
    return s;
}

/* Words of E and A in rows, as many as fit: rows of an image, or images. */
static void mls__gather_layout(mls_conv_call *k)
{
    const mls__geometry *g = &k->g;
    mls__weight *w = &k->weight;
    const size_t line = MLS__LANE * MLS__WORD;
    size_t per_word = MLS__WORD / k->size, s = g->stride_y, rows, each, sums, strip, enough;
    size_t window = (g->kh - 1) * g->apart_y + 1;
    size_t e_blocks = mls__up_div(g->co, MLS__LANE);
    /* Blocks outside keep the words of a tile together: with many channels their lines would fall
       into few sets of the cache otherwise. Odd channels stay packed. */
    int outside = g->ci % MLS__LANE == 0;
    w->extra = mls__up_div((g->kw - 1) / g->residues_x * g->runs, per_word);
    w->e.word = line, w->e.row = w->quads * line;
    w->a.word = outside ? line : g->depth * MLS__WORD;
    w->a.row = w->quads * w->a.word; /* the next row overwrites the extra words */
    each = (w->quads + w->extra) * g->depth * MLS__WORD; /* bytes of a row of A */
    rows = MLS__GATHER / mls__most(each, 1);
    if (!k->pairs && rows < g->rows) {
        w->band = mls__least(w->band, rows < window ? 1 : (rows - window) / s + 1);
    }
    rows = (w->band - 1) * s + window;
    w->a.image = rows * w->a.row + w->extra * w->a.word;
    w->e.image = w->band * w->e.row;
    if (w->band == g->oh && !k->pairs) {
        /* more where the sums themselves do not stay in the cache: they are passed over less often */
        sums = g->kh * w->co * g->blocks * line / 2;
        strip = w->quads * g->oh, enough = mls__up_div(4 * MLS__STRIP, strip);
        sums = mls__least(mls__most(sums, MLS__GATHER), 8 * MLS__GATHER);
        w->gather =
            mls__least(sums / (rows * each + e_blocks * w->e.image), mls__least(enough, g->n));
        w->gather = mls__most(w->gather, 1);
    }
    /* an odd number of lines from block to block */
    w->e.block = (w->gather * w->e.image / line | 1) * line;
    w->a.block = outside ? (w->gather * w->a.image / line | 1) * line : line;
    w->e_plane = mls__align(e_blocks * w->e.block + MLS__SLACK, MLS__ALIGN);
    w->a_plane = outside ? g->blocks * w->a.block : w->gather * w->a.image;
    w->a_plane = mls__align(w->a_plane + MLS__SLACK, MLS__ALIGN);
}

static void mls__weight_layout(mls_conv_call *k, mls__cursor *at)
{
    const mls__geometry *g = &k->g;
    mls__weight *w = &k->weight;
    mls__weight_slot s;
    memset(w, 0, sizeof *w);
    memset(&k->flat, 0, sizeof k->flat);
    w->co = mls__align(g->co, MLS__ROWS);
    w->sum_count = g->kh * w->co * g->blocks * MLS__LANE;
    w->image = mls__image_bytes(g, k->size);
    w->error = mls__align(g->oh * g->ow * g->co * k->size + MLS__SLACK, MLS__ALIGN);
    w->band = g->oh, w->gather = 1;
    w->quads = mls__up_div(g->ow * k->size, MLS__WORD);
    if (k->size < MLS__WORD) {
        mls__gather_layout(k);
    } else { /* a word is a pixel, used where it is */
        w->e.word = g->co * MLS__WORD, w->e.row = g->ow * w->e.word;
        w->a.word = g->stride_x * g->ci * MLS__WORD, w->a.row = g->cols * g->ci * MLS__WORD;
        if (g->apart_x > 1) { /* in a copy, tap beside tap */
            w->a.word = g->depth * MLS__WORD, w->a.row = g->ow * w->a.word;
            w->plain = w->image, w->image = g->rows * w->a.row + MLS__SLACK;
            w->image = mls__align(w->image, MLS__ALIGN);
        }
        w->e.block = w->a.block = MLS__LANE * MLS__WORD;
        w->e.image = w->error, w->a.image = w->image;
        if (w->sum_count > MLS__GATHER) {
            /* sums that do not stay in the cache: as many images of a block as a strip takes */
            size_t fit =
                mls__least(4 * MLS__STRIP / (g->oh * g->ow), mls__up_div(g->n, MLS_CONV_BLOCKS));
            w->gather = mls__most(fit, 1);
        }
    }
    mls__take_sums(k, at);
    k->slot_bytes = mls__weight_slot_at(k, 0, &s);
}

static void mls__weight_begin(mls_conv_call *k)
{
    mls__sums_start(k);
    for (size_t slot = 0; slot < k->slots; slot++) {
        mls__weight_slot s = mls__weight_slot_of(k, slot);
        s.gathered->images = s.gathered->sum = 0;
        memset(s.zeros, k->errors && k->bias ? 0x80 : 0, k->g.co * MLS__WORD);
    }
}

/* How many of some output lines from y on have a row ky of A that is not padding, and where they
   begin. */
static size_t mls__lines_inside(const mls__geometry *g, size_t ky, size_t y, size_t count,
                                size_t *from)
{
    size_t s = g->stride_y, row = ky * g->apart_y, bottom = g->top + g->h;
    size_t first = g->top > row ? mls__up_div(g->top - row, s) : 0;
    size_t end = bottom > row ? mls__up_div(bottom - row, s) : 0;
    first = first > y ? first - y : 0, end = mls__least(end > y ? end - y : 0, count);
    *from = first < end ? first : 0;
    return first < end ? end - first : 0;
}

/* Adds sign times the sums of some lines of E, of the images and words of d, to those of rows ky to
   end - 1 of the kernel. */
static void mls__error_sums(const mls_conv_call *k, mls__dot d, const uint8_t *e, size_t lines,
                            int32_t sign, size_t ky, size_t end, int64_t *error)
{
    const mls__weight *w = &k->weight;
    int32_t ones[1] = {0x01010101}, tile[MLS__LANE];
    d.a = (const uint8_t *)ones, d.a_m = d.a_image = d.a_row = d.a_word = 0;
    d.b_image = w->e.image, d.b_row = w->e.row, d.b_word = w->e.word;
    d.b_unsigned = 0, d.put = MLS__PUT_SUMS, d.count = 1, d.lanes = MLS__LANE;
    d.c = tile, d.init = 0, d.rows = lines;
    for (size_t co = 0; co < k->g.co && lines; co += MLS__LANE) {
        d.b = e + co / MLS__LANE * w->e.block;
        k->kernel->dot(k->method->kind, 1, 1, &d);
        for (size_t row = ky; row < end; row++) {
            int64_t *to = error + row * w->co + co;
            for (int i = 0; i < MLS__LANE; i++) to[i] += sign * tile[i];
        }
    }
}

/* What a call of the micro-kernel takes at most: words of a row, rows of an image, images. */
typedef struct mls__steps {
    size_t images, rows, words;
} mls__steps;

static mls__steps mls__weight_steps(const mls_conv_call *k, size_t images, size_t rows)
{
    size_t quads = k->weight.quads, limit = MLS__STRIP;
    mls__steps s = {1, rows, quads};
    if (k->pairs) return s;
    if (k->method->kind == MLS__F32 && k->weight.gather > 1) limit = 4 * MLS__STRIP;
    if (k->method->kind == MLS__S16) limit = mls__least(limit, (size_t)k->segment / 2);
    s.words = mls__least(quads, limit);
    s.rows = s.words < quads ? 1 : mls__least(limit / quads, rows);
    if (s.rows == rows) s.images = mls__most(1, mls__least(limit / quads / rows, images));
    return s;
}

/* A strip of words of some images and lines; the products of a kernel row at a time go to a sum. */
typedef struct mls__weight_strip {
    const mls__weight_slot *slot;
    mls__sum sum;
    const uint8_t *e, *a; /* its first words */
    size_t top, lines;    /* of an image */
    size_t words;
    int merge; /* whether its rows of words follow one another */
} mls__weight_strip;

/* All tiles of lines from .. of kernel row ky. shift: of the planes */
static MLS__APART void mls__weight_row(const mls_conv_call *k, const mls__weight_strip *t,
                                       mls__dot d, size_t ky, const int32_t *shift)
{
    static const int32_t zero[3 * MLS__LANE] = {0};
    const mls__weight *w = &k->weight;
    const uint8_t *a = d.b, *e = d.a;
    size_t lanes = k->g.blocks * MLS__LANE;
    int narrow = k->method->kind != MLS__S16, nb, mr;
    d.put = narrow ? MLS__PUT_SUMS : MLS__PUT_WIDE;
    d.c_step = d.init_step = d.wide_step = lanes;
    for (size_t block = 0; block < k->g.blocks; block += (size_t)nb) {
        size_t left = k->g.blocks - block;
        nb = mls__tile_blocks(k->kernel, left);
        if (k->kernel->rows[3] && left >= 3 && left != 4) nb = 3;
        d.lanes = mls__least(k->g.lanes - block * MLS__LANE, (size_t)(nb * MLS__LANE));
        d.b = a + block * w->a.block;
        d.lane_k = k->pairs ? t->slot->lane_k + block * MLS__LANE : zero;
        for (size_t co = 0; co < k->g.co; co += (size_t)mr) {
            size_t at = (ky * w->co + co) * lanes + block * MLS__LANE;
            mr = mls__tile_rows(k->kernel->rows[nb], nb == 2, k->g.co - co);
            if (mr == 7) mr = 8; /* rows here need not be exact */
            d.count = (size_t)mr;
            d.a = e + co / MLS__LANE * w->e.block + co % MLS__LANE * MLS__WORD;
            d.row_shift = k->pairs ? t->slot->row_shift + co : shift;
            if (narrow) d.c = t->sum.c32 + at;
            if (!narrow) d.wide = t->sum.c64 + at;
            d.init = narrow && !t->sum.head[1] ? d.c : 0;
            k->kernel->dot(k->method->kind, mr, nb, &d);
        }
    }
}

/* All kernel rows of a strip, of one plane of E and one of A. */
static MLS__APART void mls__weight_plane(const mls_conv_call *k, const mls__weight_strip *t,
                                         mls__dot d, int first, int second)
{
    const mls__geometry *g = &k->g;
    const mls__weight *w = &k->weight;
    int32_t shift[MLS__ROWS];
    const uint8_t *e = t->e + (size_t)first * w->e_plane, *a = t->a + (size_t)second * w->a_plane;
    for (int i = 0; i < MLS__ROWS; i++) shift[i] = first * k->bits[0] + second * k->bits[1];
    for (size_t ky = 0; ky < g->kh; ky++) {
        /* lines whose row of A is padding stay out */
        size_t from, some = mls__lines_inside(g, ky, t->top, t->lines, &from);
        d.words = t->words, d.rows = some;
        if (k->bias && some < t->lines) {
            size_t rest = from + some;
            mls__error_sums(k, d, t->e, from, -1, ky, ky + 1, t->sum.error);
            mls__error_sums(k, d, t->e + rest * w->e.row, t->lines - rest, -1, ky, ky + 1,
                            t->sum.error);
        }
        if (some == 0 && !(k->method->kind != MLS__S16 && t->sum.head[1])) continue;
        if (t->merge) d.words *= d.rows, d.rows = 1;
        d.a = e + from * w->e.row;
        d.b = a + (ky * g->apart_y + from * g->stride_y) * w->a.row;
        mls__weight_row(k, t, d, ky, shift);
    }
}

/* Adds the products of some images, or of rows of one from line top on, to a sum. */
static void mls__weight_add(const mls_conv_call *k, const mls__weight_slot *slot, const uint8_t *e,
                            const uint8_t *a, size_t images, size_t top, size_t rows, size_t index)
{
    const mls__geometry *g = &k->g;
    const mls__weight *w = &k->weight;
    mls__steps step = mls__weight_steps(k, images, rows);
    size_t across = mls__up_div(w->quads, step.words), down = mls__up_div(rows, step.rows);
    mls__weight_strip t;
    mls__dot d;
    memset(&d, 0, sizeof d);
    t.slot = slot, t.sum = mls__sum_at(k, index);
    t.merge = g->stride_y == 1 && k->size < MLS__WORD && step.words == w->quads;
    d.a_m = MLS__WORD, d.a_word = w->e.word, d.a_row = w->e.row, d.a_image = w->e.image;
    d.b_block = w->a.block, d.b_word = w->a.word, d.b_row = g->stride_y * w->a.row;
    d.b_image = w->a.image, d.b_unsigned = 1;
    for (size_t i = 0; i < mls__up_div(images, step.images) * down * across; i++) {
        size_t n = i / across / down * step.images, y = i / across % down * step.rows;
        size_t q = i % across * step.words;
        int64_t terms;
        t.e = e + n * w->e.image + y * w->e.row + q * w->e.word;
        t.a = a + n * w->a.image + y * g->stride_y * w->a.row + q * w->a.word;
        t.top = top + y, t.lines = mls__least(rows - y, step.rows);
        t.words = d.words = mls__least(w->quads - q, step.words);
        d.images = mls__least(images - n, step.images);
        terms = (int64_t)(d.images * t.lines * t.words * (MLS__WORD / k->size));
        if (k->method->kind == MLS__S8 && t.sum.head[0] + terms > k->segment)
            mls__sum_flush(&t.sum);
        t.sum.head[0] += terms;
        if (k->bias) mls__error_sums(k, d, t.e, t.lines, 1, 0, g->kh, t.sum.error);
        for (int plane = 0; plane < k->planes[0] * k->planes[1]; plane++) {
            mls__weight_plane(k, &t, d, plane % k->planes[0], plane / k->planes[0]);
        }
        t.sum.head[1] = 0;
    }
}

/* Bytes to element i of words in blocks. */
MLS__INLINE size_t mls__block_at(size_t i, size_t block)
{
    return i / MLS__LANE * block + i % MLS__LANE * MLS__WORD;
}

/* The words of a row of A: for every tap of a row, words of pixels that the stride steps over. */
static void mls__mix_row(const mls_conv_call *k, mls__mix_pixels x, const uint8_t *image,
                         uint8_t *to)
{
    const mls__geometry *g = &k->g;
    const mls__weight *w = &k->weight;
    size_t ci = g->ci, size = k->size;
    size_t each = w->a.block == MLS__LANE * MLS__WORD ? ci : (size_t)MLS__LANE; /* that follow */
    for (size_t kx = 0; kx < g->kw; kx++) {
        /* A tap some strides after another one has its words, moved on by as many pixels. */
        size_t rest = kx % g->residues_x, on = kx / g->residues_x * g->runs;
        size_t next = on * size / MLS__WORD * w->a.word, shift = on * size % MLS__WORD * 8;
        if (on == 0) {
            x.from = image + kx * g->apart_x * ci * size;
            x.to = to + mls__block_at(kx * ci, w->a.block);
            k->kernel->interleave(&x);
        }
        for (size_t ch = 0; ch < ci && on > 0; ch += each) {
            k->kernel->next_pixel(to + next + mls__block_at(rest * ci + ch, w->a.block),
                                  to + mls__block_at(kx * ci + ch, w->a.block), w->a.word, w->quads,
                                  each, (int)shift);
        }
    }
}

static void mls__mix_image(const mls_conv_call *k, const uint8_t *image, size_t rows, uint8_t *to)
{
    const mls__weight *w = &k->weight;
    mls__mix_pixels x;
    x.pixel = k->g.stride_x * k->g.ci * k->size, x.pixels = SIZE_MAX; /* E is 0 there */
    x.count = k->g.ci, x.size = k->size, x.steps = w->quads + w->extra;
    x.to_step = w->a.word, x.to_block = w->a.block, x.zeros = image, x.flip = 0;
    for (size_t row = 0; row < rows; row++) {
        mls__mix_row(k, x, image + row * k->g.cols * k->g.ci * k->size, to + row * w->a.row);
    }
}

/* E rows as words. from: its pixel (0, 0), bytes from row to row. */
static void mls__mix_error(const mls_conv_call *k, const uint8_t *from, size_t row_bytes,
                           uint32_t flip, size_t rows, const uint8_t *zeros, uint8_t *to)
{
    const mls__weight *w = &k->weight;
    mls__mix_pixels x;
    x.pixel = k->g.co * k->size, x.pixels = k->g.ow;
    x.size = k->size, x.count = k->g.co, x.steps = w->quads;
    x.to_step = w->e.word, x.to_block = w->e.block, x.zeros = zeros, x.flip = flip;
    for (size_t y = 0; y < rows; y++) {
        x.from = from + y * row_bytes, x.to = to + y * w->e.row;
        k->kernel->interleave(&x);
    }
}

/* E of image n: its first pixel, folded into to or prepared; bytes from row to row. */
static const uint8_t *mls__take_error(const mls_conv_call *k, size_t n, const mls__folding *f,
                                      uint8_t *to, size_t *row)
{
    size_t elements = k->g.ow * k->g.co, rows = k->g.oh, at = n * rows * elements;
    *row = elements * k->size;
    if (k->errors) {
        *row = k->errors_row;
        return k->errors + n * k->errors_step;
    }
    if (k->source[0].fp32) {
        memcpy(to, k->source[0].fp32 + at, rows * *row);
        return to;
    }
    mls__multipliers(k, 0, k->source[0].tensor, n, f);
    if (k->planes[0] == 1) elements *= rows, rows = 1;
    for (size_t y = 0; y < rows; y++) {
        uint8_t *row_to = to + y * *row;
        mls__load(k, 0, k->source[0].tensor, f, at + y * elements, elements, 0, row_to,
                  row_to + k->weight.error);
    }
    return to;
}

/* A of image n, padded, made at to or prepared. */
static const uint8_t *mls__take_image(const mls_conv_call *k, size_t n, const mls__folding *f,
                                      uint8_t *to, size_t plane)
{
    if (k->images) return k->images + n * k->images_step;
    mls__pad_image(k, n, f, to, plane);
    return to;
}

/* k of the lanes and rows of image n, for group pairs. */
static void mls__weight_shifts(const mls_conv_call *k, size_t n, const mls__weight_slot *s)
{
    int fraction = mls__fraction_bits(k->format[0], k->format[1]);
    for (size_t i = 0; i < k->g.blocks * MLS__LANE; i++) {
        uint32_t g = mls__group(k->source[1].tensor, (int32_t)n, (int32_t)(i % k->g.ci));
        s->lane_k[i] = mls__k(k->format[1], g);
    }
    for (size_t i = 0; i < k->weight.co; i++) {
        uint32_t g =
            mls__group(k->source[0].tensor, (int32_t)n, (int32_t)mls__least(i, k->g.co - 1));
        s->row_shift[i] = fraction - mls__k(k->format[0], g);
    }
}

/* Adds what a slot has gathered to the sum. */
static void mls__weight_leave(const mls_conv_call *k, size_t slot)
{
    mls__weight_slot s = mls__weight_slot_of(k, slot);
    int fp32 = k->method->kind == MLS__F32;
    if (!s.gathered->images) return;
    mls__weight_add(k, &s, fp32 ? s.error : s.e, fp32 ? s.image : s.a, s.gathered->images, 0,
                    k->weight.band, s.gathered->sum);
    s.gathered->images = 0;
}

/* Sums of floats belong to a block of images, those of integers to a thread. */
static size_t mls__sum_of(const mls_conv_call *k, size_t n, size_t slot)
{
    if (k->method->kind != MLS__F32) return slot;
    return (size_t)mls__block_of((int32_t)n, (int32_t)k->g.n);
}

/* The taps of every output of a row side by side, for all rows of an image of floats. */
static void mls__spread_image(const mls_conv_call *k, const uint8_t *from, uint8_t *to)
{
    const mls__geometry *g = &k->g;
    size_t pixel = g->ci * MLS__WORD;
    for (size_t y = 0; y < g->rows; y++, from += g->cols * pixel)
        for (size_t x = 0; x < g->ow; x++)
            for (size_t kx = 0; kx < g->kw; kx++, to += pixel) {
                memcpy(to, from + (x * g->stride_x + kx * g->apart_x) * pixel, pixel);
            }
}

static void mls__weight_fp32(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                             float *out)
{
    const mls__geometry *g = &k->g;
    mls__weight_slot s = mls__weight_slot_of(k, slot);
    size_t sum = mls__sum_of(k, n, slot), at, row;
    const uint8_t *image, *error;
    uint8_t *a, *e;
    (void)count, (void)out;
    if (s.gathered->images && s.gathered->sum != sum) mls__weight_leave(k, slot);
    at = s.gathered->images++, s.gathered->sum = sum;
    a = s.image + at * k->weight.image, e = s.error + at * k->weight.error;
    image = mls__take_image(k, n, &s.fold, k->weight.plain ? s.plain : a, k->weight.image);
    if (k->weight.plain)
        mls__spread_image(k, image, a);
    else if (image != a)
        memcpy(a, image, g->rows * g->cols * g->ci * sizeof(float));
    error = mls__take_error(k, n, &s.fold, e, &row);
    if (error != e) memcpy(e, error, g->oh * row);
    if (s.gathered->images == k->weight.gather) mls__weight_leave(k, slot);
}

static void mls__weight_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                               float *out)
{
    const mls__geometry *g = &k->g;
    const mls__weight *w = &k->weight;
    mls__weight_slot s = mls__weight_slot_of(k, slot);
    size_t image_row = g->cols * g->ci * k->size, row;
    const uint8_t *image = mls__take_image(k, n, &s.fold, s.image, k->weight.image);
    const uint8_t *error = mls__take_error(k, n, &s.fold, s.error, &row);
    uint32_t flip = k->errors && k->bias ? 0x80808080u : 0;
    (void)count, (void)out;
    if (k->pairs) mls__weight_shifts(k, n, &s);
    s.gathered->sum = slot;
    for (size_t y = 0; y < g->oh; y += w->band) {
        size_t rows = mls__least(g->oh - y, w->band), at = s.gathered->images;
        for (int p = 0; p < k->planes[0]; p++) {
            mls__mix_error(k, error + (size_t)p * w->error + y * row, row, flip, rows, s.zeros,
                           s.e + (size_t)p * w->e_plane + at * w->e.image);
        }
        for (int p = 0; p < k->planes[1]; p++) {
            mls__mix_image(k, image + (size_t)p * w->image + y * g->stride_y * image_row,
                           (rows - 1) * g->stride_y + (g->kh - 1) * g->apart_y + 1,
                           s.a + (size_t)p * w->a_plane + at * w->a.image);
        }
        if (w->band < g->oh)
            mls__weight_add(k, &s, s.e, s.a, 1, y, rows, slot);
        else if (++s.gathered->images == w->gather)
            mls__weight_leave(k, slot);
    }
}

/* Floats of all blocks, in order. */
static void mls__weight_end_fp32(const mls_conv_call *k, size_t ky)
{
    const mls__geometry *g = &k->g;
    for (size_t co = 0; co < g->co; co++) {
        size_t at = (ky * k->weight.co + co) * g->blocks * MLS__LANE;
        float *to = k->out + (co * g->kh + ky) * g->depth;
        for (size_t i = 0; i < k->weight.sums; i++) {
            const float *part = (const float *)(const void *)(mls__sum_at(k, i).c32 + at);
            if (i == 0) memcpy(to, part, g->depth * sizeof *to);
            if (i > 0) k->kernel->add_floats(to, part, g->depth);
        }
    }
}

/* All sums together, scaled, to the output [c_out][kh][kw][c_in]. */
static void mls__weight_end(const mls_conv_call *k, size_t ky)
{
    const mls__geometry *g = &k->g;
    mls__scale scale = mls__scale_of(k, 0);
    int wide = !mls__sums_fit(k);
    int64_t acc[MLS__TILE];
    for (size_t i = 0, parts = mls__up_div(g->depth, MLS__TILE); i < g->co * parts; i++) {
        size_t co = i / parts, first = i % parts * MLS__TILE;
        size_t count = mls__least(g->depth - first, MLS__TILE), row = ky * k->weight.co + co;
        size_t at = row * g->blocks * MLS__LANE + first;
        memset(acc, 0, count * sizeof *acc);
        for (size_t j = 0; j < k->weight.sums; j++) {
            mls__sum s = mls__sum_at(k, j);
            int narrow = k->method->kind == MLS__S8 && !s.head[1];
            k->kernel->add(acc, narrow ? s.c32 + at : 0, wide ? s.c64 + at : 0,
                           k->bias ? -(int64_t)k->bias * s.error[row] : 0, count);
        }
        k->kernel->emit(acc, count, scale.factors, k->out + (co * g->kh + ky) * g->depth + first);
    }
}

#if MLS__HAS_AMX
/* ----------------------------------------------------------------------- >>backward-weight-amx
   Pixels of some images on one line, a channel of A after the other, so that a tap is an offset; E as
   words of four pixels. Residues of a stride are planes of their own. A row of A ends where its
   padding begins, as the next one starts with as many zeros; so does an image. */

/* Rows and columns of a residue behind those of its outputs. */
static size_t mls__over_y(const mls__geometry *g)
{
    return (g->kh - 1) * g->apart_y / g->stride_y;
}
static size_t mls__over_x(const mls__geometry *g)
{
    return (g->kw - 1) * g->apart_x / g->stride_x;
}

/* Zeros before the next row that are those behind this one, of all padded pixels; not more than are
   behind the outputs. */
static size_t mls__shared(size_t before, size_t real, size_t all, size_t over)
{
    size_t behind = all > before + real ? all - before - real : 0;
    return mls__least(mls__least(before, behind), over);
}

static void mls__flat_layout(mls_conv_call *k, mls__cursor *at)
{
    const mls__geometry *g = &k->g;
    mls__weight *w = &k->weight;
    mls__flat *f = &k->flat;
    mls__weight_slot slot;
    size_t over_y = mls__over_y(g), over_x = mls__over_x(g), shared_y = 0, shared_x = 0;
    size_t budget = MLS__GATHER, beyond, each, most, a, e, rows, sums;
    memset(w, 0, sizeof *w);
    memset(f, 0, sizeof *f);
    w->co = mls__align(g->co, MLS__ROWS);
    w->image = mls__image_bytes(g, k->size);
    w->error = mls__align(g->oh * g->ow * g->co * k->size + MLS__SLACK, MLS__ALIGN);
    f->planes = k->size, f->blocks = mls__up_div(g->ci, MLS__LANE);
    w->sum_count = g->kh * g->kw * w->co * f->blocks * MLS__LANE;
    a = f->blocks * MLS__LANE * f->planes * g->residues_y * g->residues_x;
    e = w->co * f->planes;
    if (g->stride_y == 1) shared_y = mls__shared(g->top, g->h, g->oh + over_y, over_y);
    if (g->stride_x == 1) shared_x = mls__shared(g->left, g->w, g->ow + over_x, over_x);
    f->pitch = g->ow + over_x - shared_x;
    f->rows = rows = g->oh + over_y - shared_y;
    f->line = mls__align(rows * f->pitch, 4);
    w->band = g->oh, w->gather = 1;
    each = f->line * (a + e);
    /* where the sums do not stay in the cache they are passed over less often */
    sums = w->sum_count * sizeof(int32_t) / 2;
    budget = mls__most(budget, mls__least(sums, 4 * MLS__GATHER));
    if (each > 2 * budget) {
        size_t fit = 2 * budget / (f->pitch * (a + e));
        w->band = mls__least(w->band, fit > over_y + 8 ? fit - over_y : 8);
    } else {
        w->gather = mls__most(1, mls__least(budget / each, g->n));
    }
    if (w->band < g->oh) { /* a row of zeros more, where its last one goes on */
        rows = w->band + over_y + 1;
        f->line = mls__align(w->band * f->pitch, 4);
    }
    /* zeros of the last taps, the last words */
    beyond = (over_y + 1) * f->pitch + over_x + 128;
    /* an odd number of lines of the cache */
    f->channel = mls__align(w->gather * f->line + beyond, 2 * MLS__ALIGN) + MLS__ALIGN;
    w->a_plane = f->channel * a + MLS__SLACK;
    w->e.block = mls__align(w->gather * f->line, 2 * MLS__ALIGN) * MLS__LANE + MLS__ALIGN;
    w->e_plane = mls__align(w->e.block * (w->co / MLS__LANE) + MLS__SLACK, MLS__ALIGN);
    most = mls__most(g->ci, g->co) * k->size;
    f->flat = mls__align((rows * f->pitch + 128) * most + MLS__SLACK, MLS__ALIGN);
    mls__take_sums(k, at);
    k->slot_bytes = mls__weight_slot_at(k, 0, &slot);
}

/* Bytes to a plane of A: of a residue of either stride, and of its low or high bytes. */
static size_t mls__a_plane(const mls_conv_call *k, size_t ry, size_t rx, size_t plane)
{
    size_t residue = ry * k->g.residues_x + rx;
    return (residue * k->flat.planes + plane) * k->flat.blocks * MLS__LANE * k->flat.channel;
}

static void mls__flat_begin(mls_conv_call *k)
{
    const mls__geometry *g = &k->g;
    mls__weight_begin(k);
    for (size_t slot = 0; slot < k->slots; slot++) {
        size_t *tap = mls__weight_slot_of(k, slot).tap;
        for (size_t i = 0; i < g->kh * g->kw; i++) {
            size_t ky = i / g->kw, kx = i % g->kw;
            tap[i] = mls__a_plane(k, ky % g->residues_y, kx % g->residues_x, 0) +
                     ky * g->apart_y / g->stride_y * k->flat.pitch + kx * g->apart_x / g->stride_x;
        }
    }
}

/* Adds the products of a number of images, or of some rows of one, to a sum. */
static void mls__flat_add(const mls_conv_call *k, const mls__weight_slot *s, size_t images,
                          size_t rows, size_t index)
{
    const mls__geometry *g = &k->g;
    const mls__flat *f = &k->flat;
    int whole = k->weight.band == g->oh;
    size_t line = whole ? f->line : mls__align(rows * f->pitch, 4), pixels = images * line;
    size_t words = mls__align(pixels / 4, MLS__TILE_WORDS), b_blocks = k->weight.co / MLS__LANE;
    int64_t terms = (int64_t)(images * rows * g->ow);
    mls__sum sum = mls__sum_at(k, index);
    mls__strip x;
    memset(&x, 0, sizeof x);
    x.words = (int32_t)words, x.taps = (int32_t)(g->kh * g->kw);
    x.a = s->a, x.a_tap = s->tap, x.a_channel = f->channel, x.a_blocks = (int32_t)f->blocks;
    x.b = s->e, x.b_block = k->weight.e.block, x.b_blocks = (int32_t)b_blocks;
    if (f->planes == 2) {
        x.a_plane = mls__a_plane(k, 0, 0, 1), x.b_plane = k->weight.e_plane;
        x.c64 = sum.c64;
    } else {
        if (sum.head[0] + terms > k->segment) mls__sum_flush(&sum);
        sum.head[0] += terms;
        x.c32 = sum.c32, x.fresh = sum.head[1] != 0;
        sum.head[1] = 0;
    }
    for (size_t i = 0; i < b_blocks * f->planes; i++) {
        uint8_t *e = s->e + i / b_blocks * k->weight.e_plane + i % b_blocks * x.b_block;
        memset(e + pixels * MLS__LANE, 0, (words * 4 - pixels) * MLS__LANE);
    }
    if (whole) { /* where the taps of the last image end */
        size_t zeros = mls__over_y(g) * f->pitch + mls__over_x(g) + 1;
        size_t channels = mls__a_plane(k, g->residues_y, 0, 0) / f->channel;
        for (size_t i = 0; i < channels; i++) memset(s->a + i * f->channel + pixels, 0, zeros);
    }
    k->kernel->amx->strip(&x);
}

/* Some rows of an image: real pixels, rows of so many bytes, inside of padding. */
typedef struct mls__picture {
    const uint8_t *from;
    size_t row, pixel, h, w, pad_y, pad_x, step_y, step_x;
} mls__picture;

/* Pixels that a residue of the stride has, in rows y .. y + rows - 1 of the pitch. Zeros elsewhere,
   and behind. */
static void mls__flat_rows(const mls__picture *p, size_t pitch, size_t ry, size_t rx, size_t y,
                           size_t rows, uint8_t *to)
{
    size_t pixel = p->pixel, x0 = p->pad_x > rx ? mls__up_div(p->pad_x - rx, p->step_x) : 0;
    size_t x1 = p->pad_x + p->w > rx ? mls__up_div(p->pad_x + p->w - rx, p->step_x) : 0;
    x0 = mls__least(x0, pitch), x1 = mls__least(x1, pitch);
    for (size_t j = 0; j < rows; j++, to += pitch * pixel) {
        size_t row = (y + j) * p->step_y + ry;
        uint8_t *pixels = to + x0 * pixel;
        const uint8_t *at;
        if (row < p->pad_y || row >= p->pad_y + p->h || x0 >= x1) {
            memset(to, 0, pitch * pixel);
            continue;
        }
        at = p->from + row * p->row + (x0 * p->step_x + rx) * pixel;
        memset(to, 0, x0 * pixel);
        memset(to + x1 * pixel, 0, (pitch - x1) * pixel);
        if (p->step_x == 1) {
            memcpy(pixels, at, (x1 - x0) * pixel);
            continue;
        }
        for (size_t x = x0; x < x1; x++, at += p->step_x * pixel, pixels += pixel) {
            size_t i = 0;
            for (; pixel % 16 == 0 && i < pixel; i += 16) memcpy(pixels + i, at + i, 16);
            if (i < pixel) memcpy(pixels, at, pixel);
        }
    }
    memset(to, 0, 64 * pixel);
}

/* Puts rows y .. y + rows - 1 of an image on the line, from a pixel on. */
static void mls__flat_put(const mls_conv_call *k, const mls__weight_slot *s,
                          const mls__picture *image, const mls__picture *error, size_t y,
                          size_t rows, size_t at)
{
    const mls__geometry *g = &k->g;
    const mls__flat *f = &k->flat;
    int whole = k->weight.band == g->oh, planes = (int)f->planes;
    size_t a_rows = whole ? f->rows : rows + mls__over_y(g) + 1;
    size_t e_rows = whole ? f->rows : rows, across = g->residues_x;
    mls__line x;
    memset(&x, 0, sizeof x);
    x.from = s->flat, x.size = k->size, x.pixel = image->pixel;
    x.pixels = mls__align(a_rows * f->pitch, 4);
    x.blocks = f->blocks, x.step = f->channel;
    for (size_t i = 0; i < g->residues_y * across; i++) {
        size_t ry = i / across * g->apart_y % g->stride_y;
        size_t rx = i % across * g->apart_x % g->stride_x;
        mls__flat_rows(image, f->pitch, ry, rx, y, a_rows, s->flat);
        for (x.plane = 0; x.plane < planes; x.plane++) {
            x.to = s->a + mls__a_plane(k, i / across, i % across, (size_t)x.plane) + at;
            k->kernel->amx->turn(&x);
        }
    }
    mls__flat_rows(error, f->pitch, 0, 0, y, e_rows, s->flat);
    x.pixel = error->pixel, x.pixels = mls__align(e_rows * f->pitch, 4);
    x.blocks = k->weight.co / MLS__LANE, x.step = k->weight.e.block;
    for (x.plane = 0; x.plane < planes; x.plane++) {
        x.to = s->e + (size_t)x.plane * k->weight.e_plane + at * MLS__LANE;
        k->kernel->amx->words(&x);
    }
}

static void mls__flat_leave(const mls_conv_call *k, size_t slot)
{
    mls__weight_slot s = mls__weight_slot_of(k, slot);
    if (s.gathered->images) mls__flat_add(k, &s, s.gathered->images, k->weight.band, slot);
    s.gathered->images = 0;
    k->kernel->amx->release();
}

static void mls__flat_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                             float *out)
{
    const mls__geometry *g = &k->g;
    const mls__weight *w = &k->weight;
    mls__weight_slot s = mls__weight_slot_of(k, slot);
    mls__picture image, error;
    (void)count, (void)out;
    image.from = mls__take_image(k, n, &s.fold, s.image, k->weight.image);
    image.pixel = g->ci * k->size, image.row = g->cols * image.pixel;
    image.h = g->h, image.w = g->w, image.pad_y = g->top, image.pad_x = g->left;
    image.step_y = g->stride_y, image.step_x = g->stride_x;
    error.from = mls__take_error(k, n, &s.fold, s.error, &error.row);
    error.pixel = g->co * k->size, error.h = g->oh, error.w = g->ow;
    error.pad_y = error.pad_x = 0, error.step_y = error.step_x = 1;
    for (size_t y = 0; y < g->oh; y += w->band) {
        size_t rows = mls__least(g->oh - y, w->band);
        mls__flat_put(k, &s, &image, &error, y, rows, s.gathered->images * k->flat.line);
        if (w->band < g->oh) {
            mls__flat_add(k, &s, 1, rows, slot);
        } else if (++s.gathered->images == w->gather) {
            mls__flat_add(k, &s, s.gathered->images, w->band, slot);
            s.gathered->images = 0;
        }
    }
}

static void mls__flat_end(const mls_conv_call *k, size_t ky)
{
    const mls__geometry *g = &k->g;
    size_t taps = g->kh * g->kw, e_blocks = k->weight.co / MLS__LANE, blocks = k->flat.blocks;
    int wide = !mls__sums_fit(k);
    mls__scale scale = mls__scale_of(k, 0);
    for (size_t i = 0; i < g->kw * blocks * e_blocks; i++) {
        size_t tap = ky * g->kw + i / e_blocks / blocks;
        size_t ci = i / e_blocks % blocks * MLS__LANE, co = i % e_blocks * MLS__LANE;
        size_t at = (ky * g->kw * blocks * e_blocks + i) * MLS__LANE * MLS__LANE;
        int64_t acc[MLS__LANE * MLS__LANE] = {0};
        const int32_t *only = 0;
        for (size_t j = 0; j < k->weight.sums; j++) {
            mls__sum s = mls__sum_at(k, j);
            const int32_t *c32 = k->method->kind == MLS__S8 && !s.head[1] ? s.c32 + at : 0;
            if (k->weight.sums == 1 && !wide && c32)
                only = c32;
            else
                k->kernel->add(acc, c32, wide ? s.c64 + at : 0, 0, MLS__LANE * MLS__LANE);
        }
        k->kernel->amx->put(only, acc, scale.factors, mls__least(g->ci - ci, MLS__LANE),
                            mls__least(g->co - co, MLS__LANE),
                            k->out + (co * taps + tap) * g->ci + ci, taps * g->ci);
    }
}
#endif

/* ------------------------------------------------------------------------------- >>depthwise
   As many groups as channels on either side: lanes are channels. A block of them at a time becomes
   words of neighbouring columns, of which a tap of an output is one element; floats stay where they
   are. */

static int mls__depthwise(const mls_conv *c)
{
    return c->groups > 1 && c->groups == c->in.c && c->groups == c->c_out;
}

/* Whether products of bytes take one operand unsigned, which is the image. */
static int mls__unsigned_words(const mls_conv_call *k)
{
    return k->size == 1 && (k->kernel->bias || k->kernel->amx);
}

enum {
    MLS__CHANNEL_WORDS = MLS__CHANNELS * MLS__WORD /* bytes */
};

typedef struct mls__lanes_sizes {
    size_t each, blocks, words, row;  /* columns of a word; blocks; words and bytes of a row */
    size_t taps, place, block, phase; /* bytes of the weights */
    size_t lines, line, sum;          /* lines of E at a time, bytes of one; numbers of a sum */
} mls__lanes_sizes;

static mls__lanes_sizes mls__lanes_sizes_of(const mls_conv_call *k)
{
    const mls__geometry *g = &k->g;
    mls__lanes_sizes l;
    l.each = MLS__WORD / k->size, l.blocks = mls__up_div(g->ci, MLS__CHANNELS);
    l.words = mls__up_div(g->cols, l.each), l.row = l.words * MLS__CHANNEL_WORDS;
    l.taps = ((l.each - 1 + g->taps_x - 1) / l.each + 1) * MLS__CHANNEL_WORDS;
    l.place = g->taps_y * l.taps, l.block = l.each * l.place, l.phase = l.blocks * l.block;
    l.line = g->kw * l.row, l.sum = (g->kh * g->kw + 1) * MLS__CHANNELS;
    l.lines = mls__least(mls__most(MLS__GATHER / 8 / l.line, 1), g->oh);
    return l;
}

typedef struct mls__lanes_slot {
    mls__data_slot data;
    uint8_t *words;
    int32_t *sums; /* of outputs that one factor does not scale */
} mls__lanes_slot;

static size_t mls__lanes_slot_at(const mls_conv_call *k, uint8_t *base, mls__lanes_slot *s)
{
    const mls__geometry *g = &k->g;
    const mls__lanes_sizes l = mls__lanes_sizes_of(k);
    mls__cursor at = {base, 0};
    size_t outs = k->size < 4 ? mls__most(g->oh, g->ow) : 0;
    at.at = mls__data_slot_at(k, base, &s->data);
    s->words = (uint8_t *)mls__take(&at, k->size < 4 ? g->rows * l.row : 0);
    s->sums = (int32_t *)mls__take(&at, outs * MLS__CHANNELS * sizeof(int32_t));
    return at.at;
}

static void mls__lanes_layout(mls_conv_call *k, mls__cursor *at)
{
    const mls__lanes_sizes l = mls__lanes_sizes_of(k);
    mls__lanes_slot s;
    size_t phases = mls__weight_phases(k);
    memset(&k->data, 0, sizeof k->data);
    k->data.image = mls__image_bytes(&k->g, k->size), k->data.together = 1;
    k->lanes.packed = (uint8_t *)mls__take(at, phases * l.phase);
    k->lanes.bias = (int32_t *)mls__take(at, phases * l.blocks * MLS__CHANNELS * sizeof(int32_t));
    k->slot_bytes = mls__lanes_slot_at(k, 0, &s);
}

/* A weight to all its places; v: of size bytes. */
static void mls__lanes_put(const mls_conv_call *k, const mls__lanes_sizes *l, size_t channel,
                           size_t tap, const uint8_t *v)
{
    mls__place p = mls__weight_place(k, tap / k->g.kw, tap % k->g.kw);
    size_t block = channel / MLS__CHANNELS, lane = channel % MLS__CHANNELS;
    uint8_t *to = k->lanes.packed + p.phase * l->phase + block * l->block + p.row * l->taps;
    for (size_t place = 0; place < l->each; place++, to += l->place) {
        size_t col = place + p.col, word = col / l->each * MLS__CHANNELS + lane;
        memcpy(to + word * MLS__WORD + col % l->each * k->size, v, k->size);
    }
    if (mls__unsigned_words(k)) {
        k->lanes.bias[(p.phase * l->blocks + block) * MLS__CHANNELS + lane] -= 128 * (int8_t)*v;
    }
}

/* MLS__AHEAD or fewer weights as they follow one another, folded. */
static void mls__fold_weights(const mls_conv_call *k, const mls_tensor *t, size_t first,
                              size_t count, uint8_t *to)
{
    size_t depth = (size_t)t->shape.c, from = depth * (size_t)t->shape.h * (size_t)t->shape.w;
    int16_t multiplier[MLS__AHEAD];
    mls__fold f;
    memset(&f, 0, sizeof f);
    memset(multiplier, 0, sizeof multiplier);
    f.code = t->code, f.format = t->format, f.multiplier = multiplier, f.channels = MLS__AHEAD;
    for (size_t i = 0; i < count; i++) {
        size_t co = (first + i) / from, ci = (first + i) % depth;
        int32_t shift;
        multiplier[i] = mls__multiplier(k, 0, mls__group(t, (int32_t)co, (int32_t)ci), &shift);
    }
    k->kernel->fold(&f, first, count, 0, k->size, to);
}

static void mls__lanes_begin(mls_conv_call *k)
{
    const mls__geometry *g = &k->g;
    const mls__lanes_sizes l = mls__lanes_sizes_of(k);
    size_t taps = g->kh * g->kw, all = g->ci * taps, phases = mls__weight_phases(k);
    memset(k->lanes.packed, 0, phases * l.phase);
    memset(k->lanes.bias, 0, phases * l.blocks * MLS__CHANNELS * sizeof(int32_t));
    for (size_t first = 0; first < all; first += MLS__AHEAD) {
        uint8_t values[MLS__AHEAD * 4];
        const uint8_t *v = values;
        size_t count = mls__least(all - first, MLS__AHEAD);
        if (k->size == 4)
            v = (const uint8_t *)(const void *)(k->source[0].fp32 + first);
        else if (k->integers)
            v = k->integers + first * k->size;
        else
            mls__fold_weights(k, k->source[0].tensor, first, count, values);
        for (size_t i = 0; i < count; i++, v += k->size) {
            mls__lanes_put(k, &l, (first + i) / taps, (first + i) % taps, v);
        }
    }
}

/* Rows of a padded image as words of a block of channels. */
static void mls__lanes_words(const mls_conv_call *k, const mls__lanes_sizes *l,
                             const uint8_t *image, size_t block, uint8_t *to)
{
    const mls__geometry *g = &k->g;
    mls__mix_pixels x;
    x.pixel = g->c * k->size, x.pixels = SIZE_MAX; /* weights and E are 0 there */
    x.count = mls__least(g->c - block * MLS__CHANNELS, MLS__CHANNELS), x.size = k->size;
    x.steps = l->words, x.to_step = MLS__CHANNEL_WORDS, x.to_block = MLS__LANE * MLS__WORD;
    x.zeros = image, x.flip = mls__unsigned_words(k) && !k->bias ? 0x80808080u : 0;
    for (size_t y = 0; y < g->rows; y++) {
        x.from = image + y * g->cols * x.pixel + block * MLS__CHANNELS * k->size;
        x.to = to + y * l->row;
        k->kernel->interleave(&x);
    }
}

/* A row or column of outputs. */
static void mls__lanes_run(const mls_conv_call *k, const mls__scale *scale, int32_t *room,
                           mls__dot *d)
{
    if (k->method->kind == MLS__F32 || scale->single > 0) {
        k->kernel->lanes(k->method->kind, d);
        return;
    }
    d->put = MLS__PUT_SUMS, d->c = room, d->c_step = MLS__CHANNELS;
    k->kernel->lanes(k->method->kind, d);
    for (size_t m = 0; m < d->count; m++) {
        int64_t sum[MLS__CHANNELS];
        for (size_t i = 0; i < d->lanes; i++) sum[i] = room[m * MLS__CHANNELS + i];
        k->kernel->emit(sum, d->lanes, scale->factors, d->out + m * d->out_step);
    }
}

/* A phase of a block of channels. d: what is the same for all outputs. */
static MLS__APART void mls__lanes_phase(const mls_conv_call *k, const mls__lanes_sizes *l,
                                        const mls__scale *scale, int32_t *room, const mls__phase *p,
                                        const mls__dot *all, size_t row, const uint8_t *packed,
                                        float *out)
{
    const mls__geometry *g = &k->g;
    size_t each = l->each, fp32 = k->method->kind == MLS__F32;
    size_t turn = each / mls__common(p->x.stride, each); /* outputs whose place is the same */
    int down = !fp32 && p->x.outs / turn < 4 && p->y.outs > p->x.outs / turn;
    size_t columns = down ? p->x.outs : mls__least(turn, p->x.outs);
    size_t lines = down ? mls__least(p->y.outs, 1) : p->y.outs;
    for (size_t i = 0; i < lines * columns; i++) {
        size_t y = i / columns, x = i % columns, at = p->x.at + x * p->x.stride;
        mls__rows rows = {0, p->y.taps, 0, 1};
        mls__dot d = *all;
        if (fp32) rows = mls__rows_inside(k, p, y, 0, p->y.taps);
        d.rows = rows.count, d.words = (at % each + p->x.taps - 1) / each + 1;
        d.a += (p->y.at + y * p->y.stride + rows.from * g->apart_y) * row + at / each * d.a_word;
        d.b = packed + at % each * l->place + rows.from * l->taps;
        d.out = out + ((p->y.first + y * p->y.step) * g->ow + p->x.first + x * p->x.step) * g->oc;
        d.count = (p->x.outs - 1 - x) / turn + 1, d.a_m = turn * p->x.stride / each * d.a_word;
        d.out_step = turn * p->x.step * g->oc;
        if (down) {
            d.count = p->y.outs, d.a_m = p->y.stride * row;
            d.out_step = p->y.step * g->ow * g->oc;
        }
        mls__lanes_run(k, scale, room, &d);
    }
}

static void mls__lanes_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                              float *out)
{
    const mls__geometry *g = &k->g;
    const mls__lanes_sizes l = mls__lanes_sizes_of(k);
    mls__lanes_slot s;
    mls__scale scale = mls__scale_of(k, n);
    size_t step, row = g->cols * g->c * k->size;
    const uint8_t *image;
    mls__dot d;
    mls__lanes_slot_at(k, k->slot + slot * k->slot_bytes, &s);
    image = mls__take_images(k, n, count, &s.data, &step);
    mls__data_untouched(k, count, out);
    memset(&d, 0, sizeof d);
    d.a_word = k->size < 4 ? (size_t)MLS__CHANNEL_WORDS : g->c * MLS__WORD;
    d.b_word = MLS__CHANNEL_WORDS, d.b_row = l.taps;
    if (k->size < 4) row = l.row;
    d.a_row = g->apart_y * row, d.put = MLS__PUT_FLOATS, d.scale = scale.single;
    for (size_t block = 0; block < l.blocks; block++) {
        size_t first = block * MLS__CHANNELS;
        d.a = image + first * k->size, d.lanes = mls__least(g->c - first, MLS__CHANNELS);
        if (k->size < 4) mls__lanes_words(k, &l, image, block, s.words), d.a = s.words;
        for (size_t index = 0; index < mls__phases(k); index++) {
            mls__phase p = mls__phase_make(k, index);
            size_t at = p.weights * l.blocks + block;
            if (mls__unsigned_words(k)) d.init = k->lanes.bias + at * MLS__CHANNELS;
            mls__lanes_phase(k, &l, &scale, s.sums, &p, &d, row, k->lanes.packed + at * l.block,
                             out + first);
        }
    }
}

/* Backward-weight. E is spread over the columns of A, for each tap of a row at other ones. */

typedef struct mls__cross_slot {
    uint8_t *image, *error, *a, *e, *spread;
    mls__folding fold;
} mls__cross_slot;

static size_t mls__cross_spread(const mls_conv_call *k, const mls__lanes_sizes *l)
{
    return (k->g.kw - 1) * k->g.apart_x + l->words * l->each; /* pixels of a spread line */
}

static size_t mls__cross_slot_at(const mls_conv_call *k, uint8_t *base, mls__cross_slot *s)
{
    const mls__geometry *g = &k->g;
    const mls__lanes_sizes l = mls__lanes_sizes_of(k);
    mls__cursor at = {base, 0};
    size_t narrow = k->size < 4;
    s->image = (uint8_t *)mls__take(&at, k->images ? 0 : k->weight.image);
    s->error = (uint8_t *)mls__take(&at, k->errors ? 0 : k->weight.error);
    s->a = (uint8_t *)mls__take(&at, narrow * g->rows * l.row);
    s->e = (uint8_t *)mls__take(&at, narrow * l.lines * l.line);
    s->spread =
        (uint8_t *)mls__take(&at, narrow * mls__cross_spread(k, &l) * MLS__CHANNELS * k->size);
    s->fold = mls__take_folding(k, &at);
    return at.at;
}

/* Sums of a thread, or of a block of images of floats. */
typedef struct mls__cross_sum {
    int64_t *terms; /* of a block of channels, in the 32-bit part */
    int64_t *c64;
    int32_t *c32;
} mls__cross_sum;

static size_t mls__cross_sum_at(const mls_conv_call *k, size_t index, mls__cross_sum *s)
{
    const mls__lanes_sizes l = mls__lanes_sizes_of(k);
    uint8_t *base = k->lanes.packed;
    mls__cursor at = {base ? base + index * k->lanes.sum_bytes : 0, 0};
    size_t count = l.blocks * l.sum;
    s->terms = (int64_t *)mls__take(&at, l.blocks * sizeof(int64_t));
    s->c64 = (int64_t *)mls__take(&at, k->size < 4 ? count * sizeof(int64_t) : 0);
    s->c32 = (int32_t *)mls__take(&at, count * sizeof(int32_t));
    return at.at;
}

static void mls__cross_layout(mls_conv_call *k, mls__cursor *at)
{
    const mls__geometry *g = &k->g;
    mls__cross_slot slot;
    mls__cross_sum sum;
    memset(&k->lanes, 0, sizeof k->lanes);
    memset(&k->weight, 0, sizeof k->weight);
    k->weight.image = mls__image_bytes(g, k->size);
    k->weight.error = mls__align(g->oh * g->ow * g->co * k->size + MLS__SLACK, MLS__ALIGN);
    k->lanes.sum_bytes = mls__cross_sum_at(k, 0, &sum);
    k->lanes.sums = k->size < 4 ? k->slots : mls__least(g->n, MLS_CONV_BLOCKS);
    k->lanes.packed = (uint8_t *)mls__take(at, k->lanes.sums * k->lanes.sum_bytes);
    k->slot_bytes = mls__cross_slot_at(k, 0, &slot);
}

static void mls__cross_begin(mls_conv_call *k)
{
    memset(k->lanes.packed, 0, k->lanes.sums * k->lanes.sum_bytes);
}

/* Some lines of E, of a block of channels, in the places where every tap of a row meets A. */
static void mls__cross_words(const mls_conv_call *k, const mls__lanes_sizes *l,
                             const mls__cross_slot *s, const uint8_t *error, size_t row,
                             size_t lines, size_t lanes)
{
    const mls__geometry *g = &k->g;
    size_t before = (g->kw - 1) * g->apart_x, pixel = MLS__CHANNELS * k->size;
    int zero = k->errors && k->bias ? 0x80 : 0;
    mls__mix_pixels x;
    x.pixel = pixel, x.pixels = SIZE_MAX, x.count = lanes, x.size = k->size, x.steps = l->words;
    x.to_step = MLS__CHANNEL_WORDS, x.to_block = MLS__LANE * MLS__WORD;
    x.zeros = s->spread, x.flip = zero ? 0x80808080u : 0;
    memset(s->spread, zero, mls__cross_spread(k, l) * pixel);
    for (size_t y = 0; y < lines; y++, error += row) {
        for (size_t i = 0; i < g->ow; i++) {
            memcpy(s->spread + (before + i * g->stride_x) * pixel, error + i * g->co * k->size,
                   lanes * k->size);
        }
        for (size_t kx = 0; kx < g->kw; kx++) {
            x.from = s->spread + (before - kx * g->apart_x) * pixel;
            x.to = s->e + y * l->line + kx * l->row;
            k->kernel->interleave(&x);
        }
    }
}

/* Products of some lines of a block of channels. */
static void mls__cross_lines(const mls_conv_call *k, const mls__lanes_sizes *l,
                             const mls__cross_slot *s, mls__cross_sum sum, size_t block, size_t y,
                             size_t lines, size_t lanes)
{
    static const uint32_t ones[MLS__LANE] = {0x01010101, 0x01010101, 0x01010101, 0x01010101,
                                             0x01010101, 0x01010101, 0x01010101, 0x01010101,
                                             0x01010101, 0x01010101, 0x01010101, 0x01010101,
                                             0x01010101, 0x01010101, 0x01010101, 0x01010101};
    const mls__geometry *g = &k->g;
    int64_t terms = (int64_t)(lines * g->ow);
    int32_t *c32 = sum.c32 + block * l->sum;
    mls__cross x;
    if (sum.terms[block] + terms > k->segment) {
        k->kernel->add(sum.c64 + block * l->sum, c32, 0, 0, l->sum);
        memset(c32, 0, l->sum * sizeof *c32);
        sum.terms[block] = 0;
    }
    sum.terms[block] += terms;
    x.a = s->a + y * g->stride_y * l->row, x.a_lane = MLS__WORD, x.a_y = g->apart_y * l->row;
    x.a_x = 0, x.a_row = g->stride_y * l->row, x.a_word = MLS__CHANNEL_WORDS;
    x.e = s->e, x.e_x = l->row, x.e_row = l->line, x.e_word = MLS__CHANNEL_WORDS;
    x.taps_y = g->kh, x.taps_x = g->kw, x.rows = lines, x.words = l->words, x.lanes = lanes;
    x.sum = c32, x.sum_y = g->kw * MLS__CHANNELS, x.sum_x = MLS__CHANNELS;
    k->kernel->cross(k->method->kind, &x);
    if (!mls__unsigned_words(k)) return;
    x.a = (const uint8_t *)ones, x.a_lane = x.a_row = x.a_word = 0, x.taps_y = x.taps_x = 1;
    x.sum = c32 + g->kh * x.sum_y;
    k->kernel->cross(k->method->kind, &x);
}

/* Floats: lines whose rows of taps are all inside at once, others row by row, as each sum is one chain
   over the lines. */
static void mls__cross_floats(const mls_conv_call *k, const uint8_t *image, const uint8_t *error,
                              float *sums, size_t lanes)
{
    const mls__geometry *g = &k->g;
    size_t row = g->cols * g->c * MLS__WORD, most, middle, from;
    mls__cross x;
    x.a_lane = MLS__WORD, x.a_y = g->apart_y * row, x.a_x = g->apart_x * g->c * MLS__WORD;
    x.a_row = g->stride_y * row, x.a_word = g->stride_x * g->c * MLS__WORD;
    x.e_x = 0, x.e_row = g->ow * g->co * MLS__WORD, x.e_word = g->co * MLS__WORD;
    x.taps_x = g->kw, x.words = g->ow, x.lanes = lanes;
    x.sum_y = g->kw * MLS__CHANNELS, x.sum_x = MLS__CHANNELS;
    /* of the first row of taps the first lines are missing, of the last one the last */
    most = mls__lines_inside(g, 0, 0, g->oh, &middle) ? g->oh : 0;
    most = mls__least(most, mls__lines_inside(g, g->kh - 1, 0, g->oh, &from));
    most = from + most > middle ? from + most - middle : 0; /* lines that all rows have */
    if (from > middle) most = 0;
    for (size_t y = 0; y < g->oh; y += x.rows) {
        int inside = most && y == middle;
        x.rows = inside ? most : 1, x.taps_y = inside ? g->kh : 1;
        for (size_t ky = 0; ky < g->kh; ky += x.taps_y) {
            size_t line = y * g->stride_y + ky * g->apart_y;
            if (!inside && (line < g->top || line >= g->top + g->h)) continue;
            x.a = image + line * row, x.e = error + y * x.e_row;
            x.sum = (int32_t *)(void *)sums + ky * x.sum_y;
            k->kernel->cross(MLS__F32, &x);
        }
    }
}

static void mls__cross_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                              float *out)
{
    const mls__geometry *g = &k->g;
    const mls__lanes_sizes l = mls__lanes_sizes_of(k);
    mls__cross_slot s;
    mls__cross_sum sum;
    const uint8_t *image, *error;
    size_t row;
    (void)count, (void)out;
    mls__cross_slot_at(k, k->slot + slot * k->slot_bytes, &s);
    mls__cross_sum_at(k, mls__sum_of(k, n, slot), &sum);
    image = mls__take_image(k, n, &s.fold, s.image, k->weight.image);
    error = mls__take_error(k, n, &s.fold, s.error, &row);
    for (size_t block = 0; block < l.blocks; block++) {
        size_t first = block * MLS__CHANNELS, lanes = mls__least(g->c - first, MLS__CHANNELS),
               lines;
        if (k->size == 4) {
            mls__cross_floats(k, image + first * 4, error + first * 4,
                              (float *)(void *)(sum.c32 + block * l.sum), lanes);
            continue;
        }
        mls__lanes_words(k, &l, image, block, s.a);
        for (size_t y = 0; y < g->oh; y += lines) {
            lines = mls__least(mls__least(g->oh - y, l.lines), (size_t)k->segment / g->ow);
            mls__cross_words(k, &l, &s, error + y * row + first * k->size, row, lines, lanes);
            mls__cross_lines(k, &l, &s, sum, block, y, lines, lanes);
        }
    }
}

/* Adds a tap's sums of integers of all threads. */
static void mls__cross_add(const mls_conv_call *k, size_t at, int64_t *acc)
{
    for (size_t i = 0; i < k->lanes.sums; i++) {
        mls__cross_sum s;
        mls__cross_sum_at(k, i, &s);
        k->kernel->add(acc, s.c32 + at, s.c64 + at, 0, MLS__CHANNELS);
    }
}

/* A tap of a block of channels, scaled. */
static MLS__APART void mls__cross_tap(const mls_conv_call *k, const mls__scale *scale, size_t block,
                                      size_t tap, float *to)
{
    const mls__lanes_sizes l = mls__lanes_sizes_of(k);
    size_t at = block * l.sum + tap * MLS__CHANNELS;
    int64_t acc[MLS__CHANNELS] = {0};
    for (size_t i = 0; i < k->lanes.sums && k->size == 4; i++) {
        const float *part;
        mls__cross_sum s;
        mls__cross_sum_at(k, i, &s);
        part = (const float *)(const void *)(s.c32 + at);
        if (i == 0) memcpy(to, part, MLS__CHANNELS * sizeof *to);
        if (i > 0) k->kernel->add_floats(to, part, MLS__CHANNELS);
    }
    if (k->size == 4) return;
    mls__cross_add(k, (block + 1) * l.sum - MLS__CHANNELS, acc); /* 0 where there is no bias */
    for (size_t i = 0; i < MLS__CHANNELS; i++) acc[i] *= -128;
    mls__cross_add(k, at, acc);
    k->kernel->emit(acc, MLS__CHANNELS, scale->factors, to);
}

static void mls__cross_end(const mls_conv_call *k, size_t ky)
{
    const mls__geometry *g = &k->g;
    mls__scale scale = mls__scale_of(k, 0);
    for (size_t i = 0; i < mls__up_div(g->co, MLS__CHANNELS) * g->kw; i++) {
        size_t first = i / g->kw * MLS__CHANNELS, tap = ky * g->kw + i % g->kw;
        size_t lanes = mls__least(g->co - first, MLS__CHANNELS);
        float to[MLS__CHANNELS];
        mls__cross_tap(k, &scale, i / g->kw, tap, to);
        for (size_t j = 0; j < lanes; j++) k->out[(first + j) * g->kh * g->kw + tap] = to[j];
    }
}

/* ------------------------------------------------------------------------------- >>methods
   Rows of a table: the first that fits is taken. */

/* Whether a pair of groups is the whole sum. */
static int mls__merged(const mls_conv_call *k)
{
    const mls_format f = k->format[0], g = k->format[1];
    mls_shape w = mls_conv_weight_shape(&k->conv), out = mls_conv_output(&k->conv);
    if (k->direction == MLS_FORWARD) return !mls__group_step_c(f) && !mls__group_step_c(g);
    if (k->direction == MLS_BACKWARD_DATA) {
        return !mls__group_step_n(f, w) && !mls__group_step_c(g);
    }
    return !mls__group_step_n(f, out) && !mls__group_step_n(g, k->conv.in);
}

/* Terms of what one accumulator of 32 bits takes: rows of taps are padded to whole words. */
static int64_t mls__padded_terms(const mls_conv_call *k)
{
    const mls__geometry *g = &k->g;
    if (mls__weighted(k)) return (int64_t)(g->oh * (g->ow + MLS__WORD));
    return (int64_t)mls__terms(&k->conv, k->direction) + (int64_t)(MLS__WORD * g->kh);
}

/* What all methods of integers have; the sums are multiples of 2^(F - fold). */
static void mls__sums_of(mls_conv_call *k, size_t size, int fold)
{
    const mls_format f = k->format[0], g = k->format[1];
    int fraction = mls__fraction_bits(f, g);
    k->size = size, k->bias = 0, k->pairs = 0;
    k->planes[0] = k->planes[1] = 1;
    k->bits[0] = k->bits[1] = 0;
    k->fold = mls__pow2(fold);
    k->units = mls__pow2(mls__lsb(f) + mls__lsb(g) - f.mg - g.mg - fraction);
}

static int mls__fits_int8(mls_conv_call *k)
{
    int prepared = k->source[0].operand != 0,
        fraction = mls__fraction_bits(k->format[0], k->format[1]);
    if (!prepared && (k->most[0] > 127 || k->most[1] > 127)) return 0;
    if (prepared && k->source[0].operand->bits != 8) return 0;
    if (mls__padded_terms(k) > INT32_MAX / (255 * 127)) return 0;
    mls__sums_of(k, 1, fraction - k->k[0] - k->k[1]);
    k->bias = k->kernel->bias;
    k->segment = INT32_MAX / ((k->bias ? 255 : 127) * 127);
    return 1;
}

static MLS__UNUSED int mls__fits_int8_amx(mls_conv_call *k)
{
    return k->kernel->amx && mls__fits_int8(k);
}

static int mls__fits_int8_vector(mls_conv_call *k)
{
    return !k->kernel->amx && mls__fits_int8(k);
}

static int mls__fits_int16_any(mls_conv_call *k)
{
    int fraction = mls__fraction_bits(k->format[0], k->format[1]);
    if (k->most[0] > 32767 || k->most[1] > 32767) return 0;
    if (k->source[0].operand && k->source[0].operand->bits != 16) return 0;
    mls__sums_of(k, 2, fraction - k->k[0] - k->k[1]);
    k->segment = INT32_MAX / (k->most[0] * k->most[1]);
    return 1;
}

static int mls__fits_int16_amx(mls_conv_call *k)
{
    if (!k->kernel->amx || !mls__fits_int16_any(k)) return 0;
    return mls__weighted(k) || mls__terms(&k->conv, k->direction) <= MLS__BYTE_TERMS;
}

/* Prepared operands are not split. */
static int mls__fits_int16(mls_conv_call *k)
{
    if (mls__fits_int16_amx(k) || !mls__fits_int16_any(k)) return 0;
    return k->segment >= MLS__FEW_TERMS || k->source[0].operand;
}

/* The fewest bits of a lower plane with which the upper one needs no more. */
static int mls__low_bits(int64_t largest)
{
    int bits = 1;
    while (1 << bits >> 1 < (largest >> bits) + 1) bits++;
    return bits;
}

/* Cuts an operand into planes. Returns what either of them is at most. */
static int64_t mls__cut(mls_conv_call *k, int which)
{
    k->planes[which] = 2, k->bits[which] = (uint8_t)mls__low_bits(k->most[which]);
    return 1 << k->bits[which] >> 1;
}

/* Integers of up to 30 bits, one operand or both in two planes of 16. */
static int mls__fits_planes(mls_conv_call *k)
{
    int fraction = mls__fraction_bits(k->format[0], k->format[1]);
    int64_t most[2];
    if (k->source[0].operand || k->k[0] + k->k[1] > fraction) return 0; /* a shift would round */
    if (k->most[0] >= 1 << 30 || k->most[1] >= 1 << 30) return 0;
    if (mls__acc_bits(&k->conv, k->direction, k->format[0], k->format[1]) > 62) return 0;
    mls__sums_of(k, 2, fraction - k->k[0] - k->k[1]);
    for (int i = 0; i < 2; i++) most[i] = k->most[i] > 32767 ? mls__cut(k, i) : k->most[i];
    for (int i = 0; i < 2; i++) {
        if (INT32_MAX / (most[0] * most[1]) >= MLS__FEW_TERMS) break;
        if (k->planes[i] == 1) most[i] = mls__cut(k, i);
    }
    k->most[0] = most[0], k->most[1] = most[1];
    k->segment = INT32_MAX / (most[0] * most[1]);
    return k->segment >= MLS__FEWEST_TERMS;
}

/* Two planes in backward-weight only if E alone is cut, which is faster than shifting. */
static int mls__fits_planes_of_16(mls_conv_call *k)
{
    return k->most[0] <= 32767 && k->most[1] <= 32767 && mls__fits_planes(k);
}

/* Group pair by group pair, unfolded. */
static int mls__fits_pairs(mls_conv_call *k)
{
    int64_t q = mls__group_max(k->format[0]), p = mls__group_max(k->format[1]);
    int64_t terms = mls__weighted(k) ? mls__padded_terms(k) : (int64_t)(k->g.kh * k->g.kw);
    if (mls__merged(k) || q > 32767 || p > 32767 || terms > INT32_MAX / (q * p)) return 0;
    if (mls__acc_bits(&k->conv, k->direction, k->format[0], k->format[1]) > 62) return 0;
    mls__sums_of(k, mls__weighted(k) ? 2 : 4, 0);
    k->pairs = 1;
    k->segment = INT32_MAX;
    return 1;
}

static int mls__fits_lanes(mls_conv_call *k, size_t size)
{
    const mls__geometry *g = &k->g;
    int fraction = mls__fraction_bits(k->format[0], k->format[1]);
    int64_t largest = size == 1 ? 127 : 32767, most[2];
    size_t terms = mls__weighted(k) ? g->ow : g->kh * g->kw;
    if (!mls__depthwise(&k->conv) || k->source[0].fp32) return 0;
    for (int i = 0; i < 2; i++) most[i] = size == 1 ? 127 : k->most[i];
    if (k->source[0].operand && k->source[0].operand->bits != 8 * (int)size) return 0;
    if (!k->source[0].operand && (k->most[0] > largest || k->most[1] > largest)) return 0;
    if (k->most[0] > 32767 || k->most[1] > 32767) return 0;
    mls__sums_of(k, size, fraction - k->k[0] - k->k[1]);
    if (size == 1) k->bias = k->kernel->bias;
    if (size == 1 && mls__unsigned_words(k)) most[1] = 255;
    k->segment = INT32_MAX / (most[0] * most[1]);
    return (int64_t)terms <= k->segment;
}

static int mls__fits_lanes8(mls_conv_call *k)
{
    return mls__fits_lanes(k, 1);
}
static int mls__fits_lanes16(mls_conv_call *k)
{
    return mls__fits_lanes(k, 2);
}

static int mls__fits_lanes_fp32(mls_conv_call *k)
{
    if (!k->source[0].fp32 || !mls__depthwise(&k->conv)) return 0;
    k->size = 4, k->planes[0] = k->planes[1] = 1;
    return 1;
}

static int mls__fits_fp32(mls_conv_call *k)
{
    if (!k->source[0].fp32) return 0;
    k->size = 4, k->planes[0] = k->planes[1] = 1;
    return 1;
}

static int mls__fits_any_fp32(mls_conv_call *k)
{
    return k->source[0].fp32 != 0;
}

static int mls__fits_always(mls_conv_call *k)
{
    (void)k;
    return 1;
}

static void mls__no_layout(mls_conv_call *k, mls__cursor *at)
{
    (void)k, (void)at;
}
static void mls__no_begin(mls_conv_call *k)
{
    (void)k;
}
static void mls__no_leave(const mls_conv_call *k, size_t slot)
{
    (void)k, (void)slot;
}

/* ---------------------------------------------------------------------------------- >>groups
   Groups of channels, each as a convolution of its own: its part of the images and weights, and a
   method of the rows above. */

static int mls__fits(const mls__method *m, mls_conv_call *k, int k1, int k2);
static const mls__method *mls__plain_method(int index);

/* The call of a group, without memory; whether a method for this kind of words takes it. */
static MLS__APART int mls__share_make(const mls_conv_call *k, int kind, mls_conv_call *share)
{
    static const uint8_t some = 0;
    const mls__method *m;
    *share = *k;
    share->conv.in.c /= k->conv.groups, share->conv.c_out /= k->conv.groups;
    share->conv.groups = 1;
    share->g = mls__geometry_make(&share->conv, k->direction);
    share->images = &some, share->images_step = 0;
    if (mls__weighted(k)) share->errors = &some, share->errors_step = 0;
    for (int i = 0; (m = mls__plain_method(i)) != 0; i++) {
        if (m->kind != kind || !mls__fits(m, share, k->k[0], k->k[1])) continue;
        return !share->pairs && share->planes[0] * share->planes[1] == 1;
    }
    return 0;
}

static size_t mls__weights_of(const mls_conv_call *k) /* elements of a group's weights */
{
    return k->g.kh * k->g.kw * (k->g.ci / (size_t)k->conv.groups) *
           (k->g.co / (size_t)k->conv.groups);
}

/* A thread's room: images and error of all channels, those of a group, outputs of a group; behind it
   that of the group's call. */
typedef struct mls__shares_slot {
    uint8_t *image, *error, *share, *share_error;
    float *out;
    mls__folding fold;
    size_t bytes;
} mls__shares_slot;

static void mls__shares_slot_at(const mls_conv_call *k, uint8_t *base, mls__shares_slot *s)
{
    const mls__geometry *g = &k->g;
    mls__cursor at = {base, 0};
    size_t image = mls__image_bytes(g, k->size), weighted = (size_t)mls__weighted(k);
    size_t error = weighted * mls__align(g->oh * g->ow * g->co * k->size + MLS__SLACK, MLS__ALIGN);
    size_t groups = (size_t)k->conv.groups;
    s->image = (uint8_t *)mls__take(&at, k->images ? 0 : image);
    s->share = (uint8_t *)mls__take(&at, image / groups + 2 * MLS__SLACK);
    s->error = (uint8_t *)mls__take(&at, k->errors ? 0 : error);
    s->share_error = (uint8_t *)mls__take(&at, error);
    s->out = (float *)mls__take(&at, weighted ? 0 : g->oh * g->ow * g->oc / groups * sizeof(float));
    s->fold = mls__take_folding(k, &at);
    s->bytes = at.at;
}

/* The call of a group with its memory. */
static MLS__APART void mls__share_of(const mls_conv_call *k, size_t group, mls_conv_call *share)
{
    mls__shares_slot s;
    mls__cursor at = {k->shares.room + group * k->shares.each, 0};
    size_t weights = group * mls__weights_of(k);
    mls__share_make(k, k->method->kind, share);
    share->method->layout(share, &at);
    mls__shares_slot_at(k, 0, &s);
    share->slot = k->slot + s.bytes, share->slot_bytes = k->slot_bytes;
    if (k->integers) share->integers = k->integers + weights * k->size;
    if (k->source[0].fp32 && !mls__weighted(k)) share->source[0].fp32 += weights;
    if (mls__weighted(k)) share->out += weights;
}

static MLS__APART void mls__shares_layout(mls_conv_call *k, mls__cursor *at)
{
    mls__cursor none = {0, 0};
    size_t groups = (size_t)k->conv.groups, weights = groups * mls__weights_of(k) * k->size;
    mls__shares_slot s;
    mls_conv_call share;
    mls__share_make(k, k->method->kind, &share);
    share.method->layout(&share, &none);
    mls__shares_slot_at(k, 0, &s);
    memset(&k->data, 0, sizeof k->data);
    k->data.together = 1;
    k->slot_bytes = s.bytes + share.slot_bytes;
    k->shares.each = none.at;
    k->shares.room = (uint8_t *)mls__take(at, groups * none.at);
    if (mls__weighted(k) || k->source[0].fp32 || k->source[0].operand) weights = 0;
    k->shares.weights = (uint8_t *)mls__take(at, weights);
}

static MLS__APART void mls__shares_begin(mls_conv_call *k)
{
    size_t all = (size_t)k->conv.groups * mls__weights_of(k), rows = SIZE_MAX, words = SIZE_MAX;
    mls_conv_call share;
    if (!mls__weighted(k) && !k->source[0].fp32 && !k->integers) {
        for (size_t i = 0; i < all; i += MLS__AHEAD) {
            size_t count = mls__least(all - i, MLS__AHEAD);
            mls__fold_weights(k, k->source[0].tensor, i, count, k->shares.weights + i * k->size);
        }
        k->integers = k->shares.weights;
    }
    for (size_t group = 0; group < (size_t)k->conv.groups; group++) {
        mls__share_of(k, group, &share);
        share.method->begin(&share);
        rows = mls__least(rows, share.data.rows_fit),
        words = mls__least(words, share.data.words_fit);
    }
    if (!mls__weighted(k)) k->data.rows_fit = rows, k->data.words_fit = words;
}

/* Channels of a group, of so many pixels in rows. */
static void mls__share_pixels(const uint8_t *from, size_t row, size_t pixel, size_t rows,
                              size_t cols, size_t bytes, uint8_t *to)
{
    for (size_t y = 0; y < rows; y++, from += row)
        for (size_t x = 0; x < cols; x++, to += bytes) memcpy(to, from + x * pixel, bytes);
}

/* Image n of a group, whose part of it is there. */
static MLS__APART void mls__share_image(const mls_conv_call *k, const mls__shares_slot *s,
                                        size_t group, size_t n, size_t slot)
{
    mls_conv_call share;
    mls__share_of(k, group, &share);
    share.images = s->share;
    share.errors = mls__weighted(k) ? s->share_error : 0;
    share.errors_row = share.g.ow * share.g.co * k->size;
    share.method->images(&share, n, 1, slot, s->out);
    if (mls__weighted(k)) share.method->leave(&share, slot); /* its room is the next group's */
}

static void mls__shares_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                               float *out)
{
    const mls__geometry *g = &k->g;
    size_t groups = (size_t)k->conv.groups, pixel = g->c * k->size, depth = g->oc / groups;
    const uint8_t *image;
    mls__shares_slot s;
    (void)count;
    mls__shares_slot_at(k, k->slot + slot * k->slot_bytes, &s);
    image = mls__take_image(k, n, &s.fold, s.image, 0);
    for (size_t group = 0; group < groups; group++, out += depth) {
        mls__share_pixels(image + group * (pixel / groups), g->cols * pixel, pixel, g->rows,
                          g->cols, pixel / groups, s.share);
        mls__share_image(k, &s, group, n, slot);
        for (size_t i = 0; i < g->oh * g->ow; i++) {
            memcpy(out + i * g->oc, s.out + i * depth, depth * sizeof *out);
        }
    }
}

static void mls__shares_weight(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                               float *out)
{
    const mls__geometry *g = &k->g;
    size_t groups = (size_t)k->conv.groups, pixel = g->c * k->size, row;
    size_t of = g->co * k->size, bytes = g->oh * g->ow * of / groups;
    const uint8_t *image, *error;
    mls__shares_slot s;
    (void)count, (void)out;
    mls__shares_slot_at(k, k->slot + slot * k->slot_bytes, &s);
    image = mls__take_image(k, n, &s.fold, s.image, 0);
    error = mls__take_error(k, n, &s.fold, s.error, &row);
    for (size_t group = 0; group < groups; group++) {
        mls__share_pixels(image + group * (pixel / groups), g->cols * pixel, pixel, g->rows,
                          g->cols, pixel / groups, s.share);
        mls__share_pixels(error + group * (of / groups), row, of, g->oh, g->ow, of / groups,
                          s.share_error);
        for (size_t i = 0; i < bytes && k->bias && !k->errors; i++) s.share_error[i] ^= 0x80;
        mls__share_image(k, &s, group, n, slot);
    }
}

static void mls__shares_leave(const mls_conv_call *k, size_t slot)
{
    mls_conv_call share;
    mls__share_of(k, 0, &share);
    share.method->leave(&share, slot);
}

static void mls__shares_end(const mls_conv_call *k, size_t ky)
{
    mls_conv_call share;
    for (size_t group = 0; group < (size_t)k->conv.groups; group++) {
        mls__share_of(k, group, &share);
        share.method->end(&share, ky);
    }
}

static MLS__APART int mls__fits_shares(mls_conv_call *k, int kind)
{
    mls_conv_call share;
    if (k->conv.groups == 1 || !mls__share_make(k, kind, &share)) return 0;
    k->size = share.size, k->bias = share.bias, k->segment = share.segment, k->pairs = 0;
    k->fold = share.fold, k->units = share.units;
    k->planes[0] = k->planes[1] = 1, k->bits[0] = k->bits[1] = 0;
    return 1;
}

static int mls__fits_shares8(mls_conv_call *k)
{
    return mls__fits_shares(k, MLS__S8);
}
static int mls__fits_shares16(mls_conv_call *k)
{
    return mls__fits_shares(k, MLS__S16);
}
static int mls__fits_shares_fp32(mls_conv_call *k)
{
    return mls__fits_shares(k, MLS__F32);
}

static void mls__reference_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                                  float *out)
{
    const mls_tensor *w = k->source[0].tensor, *t;
    (void)count, (void)slot;
    if (mls__weighted(k)) return;
    t = mls__tensor_of(&k->source[1], &n);
    if (k->direction == MLS_FORWARD) mls__forward_image(&k->conv, w, t, (int32_t)n, out);
    if (k->direction == MLS_BACKWARD_DATA) {
        mls__backward_data_image(&k->conv, w, t, (int32_t)n, out);
    }
}

static void mls__reference_end(const mls_conv_call *k, size_t ky)
{
    mls__backward_weight_row(&k->conv, k->source[0].tensor, k->source[1].tensor, (int32_t)ky,
                             k->out);
}

/* The reference of fp32. A block's sums are those of the images so far. */
static void mls__plain_layout(mls_conv_call *k, mls__cursor *at)
{
    const size_t weights = mls__elements(mls_conv_weight_shape(&k->conv));
    k->slot_bytes = k->weight.sum_bytes = 0, k->weight.sums = 0;
    if (!mls__weighted(k)) return;
    k->weight.sums = mls__least(k->g.n, MLS_CONV_BLOCKS);
    k->weight.sum_count = weights, k->weight.sum_bytes = weights * sizeof(float);
    k->weight.sum = (uint8_t *)mls__take(at, k->weight.sums * k->weight.sum_bytes);
}

static void mls__plain_begin(mls_conv_call *k)
{
    if (mls__weighted(k)) memset(k->weight.sum, 0, k->weight.sums * k->weight.sum_bytes);
}

static void mls__plain_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                              float *out)
{
    const float *first = k->source[0].fp32, *second = k->source[1].fp32;
    size_t block = (size_t)mls__block_of((int32_t)n, (int32_t)k->g.n);
    (void)count, (void)slot;
    if (mls__weighted(k)) out = (float *)(void *)(k->weight.sum + block * k->weight.sum_bytes);
    if (k->direction == MLS_FORWARD)
        mls__forward_image_fp32(&k->conv, first, second, (int32_t)n, out);
    else if (k->direction == MLS_BACKWARD_DATA)
        mls__backward_data_image_fp32(&k->conv, first, second, (int32_t)n, out);
    else
        mls__backward_weight_image_fp32(&k->conv, first, second, (int32_t)n, out);
}

static void mls__plain_end(const mls_conv_call *k, size_t ky)
{
    const size_t row = (size_t)mls_conv_weight_shape(&k->conv).c * k->g.kw;
    for (size_t co = 0; co < k->g.co; co++) {
        size_t at = (co * k->g.kh + ky) * row;
        const float *sum = (const float *)(const void *)k->weight.sum + at;
        for (size_t i = 0; i < row; i++) {
            float z = sum[i];
            for (size_t j = 1; j < k->weight.sums; j++) z = z + sum[j * k->weight.sum_count + i];
            k->out[at + i] = z;
        }
    }
}

/* clang-format off */
static const mls__method mls__methods[] = {
    {"int8 depthwise", 0, 1, MLS__S8, mls__fits_lanes8,
     mls__lanes_layout, mls__lanes_begin, mls__lanes_images, mls__no_leave, 0},
    {"int8 depthwise", 1, 1, MLS__S8, mls__fits_lanes8,
     mls__cross_layout, mls__cross_begin, mls__cross_images, mls__no_leave, mls__cross_end},
    {"int16 depthwise", 0, 1, MLS__S16, mls__fits_lanes16,
     mls__lanes_layout, mls__lanes_begin, mls__lanes_images, mls__no_leave, 0},
    {"int16 depthwise", 1, 1, MLS__S16, mls__fits_lanes16,
     mls__cross_layout, mls__cross_begin, mls__cross_images, mls__no_leave, mls__cross_end},
    {"fp32 depthwise", 0, 1, MLS__F32, mls__fits_lanes_fp32,
     mls__lanes_layout, mls__lanes_begin, mls__lanes_images, mls__no_leave, 0},
    {"fp32 depthwise", 1, 1, MLS__F32, mls__fits_lanes_fp32,
     mls__cross_layout, mls__cross_begin, mls__cross_images, mls__no_leave, mls__cross_end},
    {"fp32", 0, 0, MLS__F32, mls__fits_fp32,
     mls__tile_layout, mls__tile_begin, mls__tile_images, mls__no_leave, 0},
    {"fp32", 1, 0, MLS__F32, mls__fits_fp32,
     mls__weight_layout, mls__weight_begin, mls__weight_fp32, mls__weight_leave, mls__weight_end_fp32},
#if MLS__HAS_AMX
    {"int8", 0, 0, MLS__S8, mls__fits_int8_amx,
     mls__area_layout, mls__tile_begin, mls__area_images, mls__amx_leave, 0},
    {"int8", 1, 0, MLS__S8, mls__fits_int8_amx,
     mls__flat_layout, mls__flat_begin, mls__flat_images, mls__flat_leave, mls__flat_end},
#endif
    {"int8", 0, 0, MLS__S8, mls__fits_int8_vector,
     mls__tile_layout, mls__tile_begin, mls__tile_images, mls__no_leave, 0},
    {"int8", 1, 0, MLS__S8, mls__fits_int8_vector,
     mls__weight_layout, mls__weight_begin, mls__weight_images, mls__weight_leave, mls__weight_end},
#if MLS__HAS_AMX
    {"int16", 0, 0, MLS__S16, mls__fits_int16_amx,
     mls__area_layout, mls__tile_begin, mls__area_images, mls__amx_leave, 0},
    {"int16", 1, 0, MLS__S16, mls__fits_int16_amx,
     mls__flat_layout, mls__flat_begin, mls__flat_images, mls__flat_leave, mls__flat_end},
#endif
    {"int16", 0, 0, MLS__S16, mls__fits_int16,
     mls__tile_layout, mls__tile_begin, mls__tile_images, mls__no_leave, 0},
    {"int16", 1, 0, MLS__S16, mls__fits_int16,
     mls__weight_layout, mls__weight_begin, mls__weight_images, mls__weight_leave, mls__weight_end},
    {"int16 in planes", 0, 0, MLS__S16, mls__fits_planes,
     mls__tile_layout, mls__tile_begin, mls__tile_images, mls__no_leave, 0},
    {"int16 in planes", 1, 0, MLS__S16, mls__fits_planes_of_16,
     mls__weight_layout, mls__weight_begin, mls__weight_images, mls__weight_leave, mls__weight_end},
    {"int16, group pair by group pair", 0, 0, MLS__S16, mls__fits_pairs,
     mls__pairs_layout, mls__pairs_begin, mls__pairs_images, mls__no_leave, 0},
    {"int16, group pair by group pair", 1, 0, MLS__S16, mls__fits_pairs,
     mls__weight_layout, mls__weight_begin, mls__weight_images, mls__weight_leave, mls__weight_end},
    {"int16 in planes", 1, 0, MLS__S16, mls__fits_planes,
     mls__weight_layout, mls__weight_begin, mls__weight_images, mls__weight_leave, mls__weight_end},
    {"int8, group by group", 0, 1, MLS__S8, mls__fits_shares8,
     mls__shares_layout, mls__shares_begin, mls__shares_images, mls__shares_leave, 0},
    {"int8, group by group", 1, 1, MLS__S8, mls__fits_shares8,
     mls__shares_layout, mls__shares_begin, mls__shares_weight, mls__shares_leave, mls__shares_end},
    {"int16, group by group", 0, 1, MLS__S16, mls__fits_shares16,
     mls__shares_layout, mls__shares_begin, mls__shares_images, mls__shares_leave, 0},
    {"int16, group by group", 1, 1, MLS__S16, mls__fits_shares16,
     mls__shares_layout, mls__shares_begin, mls__shares_weight, mls__shares_leave, mls__shares_end},
    {"fp32, group by group", 0, 1, MLS__F32, mls__fits_shares_fp32,
     mls__shares_layout, mls__shares_begin, mls__shares_images, mls__shares_leave, 0},
    {"fp32, group by group", 1, 1, MLS__F32, mls__fits_shares_fp32,
     mls__shares_layout, mls__shares_begin, mls__shares_weight, mls__shares_leave, mls__shares_end},
    {"fp32 by the reference", -1, 1, MLS__F32, mls__fits_any_fp32,
     mls__plain_layout, mls__plain_begin, mls__plain_images, mls__no_leave, mls__plain_end},
    {"the reference", -1, 1, MLS__F32, mls__fits_always,
     mls__no_layout, mls__no_begin, mls__reference_images, mls__no_leave, mls__reference_end}
};
/* clang-format on */
enum {
    MLS__METHODS = sizeof mls__methods / sizeof mls__methods[0],
    MLS__REFERENCE = MLS__METHODS - 1
};

/* Those for one group; null at the end. */
static const mls__method *mls__plain_method(int index)
{
    for (int i = 0; i < MLS__METHODS; i++) {
        if (!mls__methods[i].grouped && index-- == 0) return &mls__methods[i];
    }
    return 0;
}

/* Sets what does not depend on the operands. */
static void mls__call_make(mls_conv_call *k, const mls_conv *conv, mls_direction direction,
                           int unit)
{
    memset(k, 0, sizeof *k);
    k->conv = mls__conv_defaults(conv);
    k->direction = direction;
    k->g = mls__geometry_make(&k->conv, direction);
    k->kernel = mls__kernels[unit];
}

/* Whether a method takes a call whose operands use k up to these. */
static int mls__fits(const mls__method *m, mls_conv_call *k, int k1, int k2)
{
    if (m->weight >= 0 && m->weight != mls__weighted(k)) return 0;
    if (k->conv.groups > 1 && !m->grouped) return 0;
    if (k->source[0].fp32 && m->kind != MLS__F32) return 0;
    k->k[0] = k1, k->k[1] = k2;
    for (int i = 0; i < 2 && !k->source[0].fp32; i++) {
        k->most[i] = mls__folded_max(k->format[i], k->k[i]);
    }
    if (!m->fits(k)) return 0;
    k->method = m;
    return 1;
}

static void mls__choose(mls_conv_call *k, int unit, int k1, int k2)
{
    int plain = !unit && !k->source[0].operand && !k->source[0].fp32;
    for (int i = plain ? MLS__REFERENCE : 0; i < MLS__METHODS; i++) {
        if (mls__fits(&mls__methods[i], k, k1, k2)) return;
    }
}

/* Bytes of the layout for a number of slots, and its addresses if there is memory. */
static size_t mls__call_layout(mls_conv_call *k, size_t slots, uint8_t *memory)
{
    mls__cursor at = {memory, 0};
    k->slots = slots;
    if (!k->kept) k->method->layout(k, &at);
    k->slot = (uint8_t *)mls__take(&at, slots * k->slot_bytes);
    return at.at;
}

/* Takes the workspace; with too little for most slots fewer, not below least. */
static mls_status mls__call_place(mls_conv_call *k, void *memory, size_t size, size_t least,
                                  size_t most)
{
    size_t skip = mls__skip(memory);
    k->slots = most;
    if (k->method == &mls__methods[MLS__REFERENCE]) return MLS_OK;
    if (!memory) return MLS_ERROR_ARGUMENT;
    while (skip + mls__call_layout(k, most, 0) > size) {
        if (--most < least) return MLS_ERROR_MEMORY;
    }
    mls__call_layout(k, most, (uint8_t *)memory + skip);
    return MLS_OK;
}

static int mls__same_format(mls_format a, mls_format b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Bytes that a row of the table needs for the images of a batch, if it fits the sums of n of them for
   some exponents in use, else 0. *all: it fits whatever they are. */
static size_t mls__method_workspace(const mls__method *m, mls_conv_call *k, int32_t n,
                                    const mls_format *first, const mls_format *second, int threads,
                                    int *all)
{
    const int32_t batch = k->conv.in.n;
    int fits;
    k->conv.in.n = n, k->g.n = (size_t)n;
    *all = first && mls__fits(m, k, mls__k_max(*first), mls__k_max(*second));
    fits = *all || mls__fits(m, k, 0, 0);
    k->conv.in.n = batch, k->g.n = (size_t)batch;
    if (!fits) return 0;
    if (!*all && first && m->fits == mls__fits_planes) k->planes[0] = k->planes[1] = 2;
    if (!*all && first && m->fits == mls__fits_planes_of_16) k->planes[0] = 2;
    return mls__call_layout(k, (size_t)threads, 0);
}

/* Bytes for one direction and a number of threads, whatever the tensors will hold, however many images
   of the batch there are and whichever kernel is in use then; formats are null for fp32. */
static size_t mls__direction_workspace(const mls_conv *conv, mls_direction direction,
                                       const mls_format *first, const mls_format *second,
                                       int threads)
{
    size_t most = 0;
    static const float some = 0;
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        mls_conv_call k;
        if (!mls__unit_here(unit)) continue;
        mls__call_make(&k, conv, direction, unit);
        if (!first) k.source[0].fp32 = &some;
        if (first) k.format[0] = *first, k.format[1] = *second;
        /* The k in use decide: any row that fits the least of them, up to the one that fits all, and
           int16, since prepared operands may be wider than they must. Sums of one image may fit a row
           where those of a batch do not. */
        for (int i = 0; i < MLS__REFERENCE; i++) {
            const mls__method *m = &mls__methods[i];
            int all;
            size_t one = mls__method_workspace(m, &k, 1, first, second, threads, &all);
            size_t size = mls__method_workspace(m, &k, conv->in.n, first, second, threads, &all);
            if (one > most) most = one;
            if (size > most) most = size;
            if (all && k.size > 1) break;
        }
    }
    return MLS__ALIGN + most;
}

MLS_DEF size_t mls_conv_workspace(const mls_conv *conv, mls_format weight, mls_format activation)
{
    size_t most = 1;
    mls_format zero;
    mls_conv c;
    int fp32, threads = MLS__THREADS();
    memset(&zero, 0, sizeof zero);
    if (!conv || !mls_conv_output(conv).n) return 0;
    c = mls__conv_defaults(conv);
    if (threads > c.in.n) threads = c.in.n;
    fp32 = mls__same_format(weight, zero) && mls__same_format(activation, zero);
    if (!fp32 && (mls_format_check(weight) != MLS_OK || mls_format_check(activation) != MLS_OK))
        return 0;
    for (int d = 0; d < 3; d++) {
        size_t size = mls__direction_workspace(&c, (mls_direction)d, fp32 ? 0 : &weight,
                                               fp32 ? 0 : &activation, threads);
        if (size > most) most = size;
    }
    return most;
}

/* ---------------------------------------------------------------------------------- >>seam
   The stages of a convolution, and whole ones made of them. */

/* Whether a tensor can be one of a convolution. */
static mls_status mls__tensor_fits(const mls_tensor *t, mls_format format, mls_shape shape,
                                   int pending)
{
    if (!t->group || !t->code || (pending && !t->peak)) return MLS_ERROR_ARGUMENT;
    if (!mls__same_shape(t->shape, shape)) return MLS_ERROR_SHAPE;
    if (mls_format_check(t->format) != MLS_OK || !mls__same_format(t->format, format)) {
        return MLS_ERROR_FORMAT;
    }
    return MLS_OK;
}

/* Shape of an operand. */
static mls_shape mls__operand_shape_of(const mls_conv_call *k, int which)
{
    mls_shape out = mls_conv_output(&k->conv);
    if (which == 0) return mls__weighted(k) ? out : mls_conv_weight_shape(&k->conv);
    return k->direction == MLS_BACKWARD_DATA ? out : k->conv.in;
}

/* Tensors, from the first or the second operand on: checks all of them, and chooses by what they really
   hold, unless the weights were packed before for anything. */
static MLS__APART mls_status mls__open_tensors(mls_conv_call *k)
{
    int used[2] = {0, 0};
    mls_status status = MLS_OK;
    for (int which = k->kept; which < 2; which++) {
        const mls_source *s = &k->source[which];
        mls_shape shape = mls__operand_shape_of(k, which);
        if (!s->tensor || (s->step && (which == 0 || mls__weighted(k)))) return MLS_ERROR_ARGUMENT;
        if (!k->kept) k->format[which] = s->tensor->format;
        if (s->step) shape.n = 1;
        for (size_t i = 0; i < (s->step ? k->g.n : 1) && status == MLS_OK; i++) {
            size_t n = i;
            status = mls__tensor_fits(mls__tensor_of(s, &n), k->format[which], shape, s->pending);
        }
    }
    if (status == MLS_OK && !k->kept) {
        status = mls_conv_check(&k->conv, k->direction, k->format[0], k->format[1], 0, 0);
    }
    for (int which = k->kept; which < 2 && status == MLS_OK; which++) {
        const mls_source *s = &k->source[which];
        for (size_t i = 0; i < (s->step ? k->g.n : 1); i++) {
            size_t n = i;
            const mls_tensor *t = mls__tensor_of(s, &n);
            int most = mls__k_used(t, s->pending);
            if (most < 0) return MLS_ERROR_FORMAT;
            if (s->step && t->scale == 0) continue; /* of zeros any will do */
            if (most > used[which]) used[which] = most;
        }
    }
    if (status == MLS_OK && !k->kept) mls__choose(k, mls__unit(), used[0], used[1]);
    return status;
}

static mls_status mls__open_operands(mls_conv_call *k);

/* With their defaults. No memcmp, for which clang takes bcmp, and C has none. */
static int mls__same_conv(const mls_conv *a, const mls_conv *b)
{
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    unsigned differ = 0;
    for (size_t i = 0; i < sizeof *a; i++) differ |= (unsigned)(x[i] ^ y[i]);
    return !differ;
}

/* Goes on from packed weights, if they are of this call. */
static void mls__open_kept(mls_conv_call *k, const mls_source *first)
{
    const mls_conv_call *kept = first->kept;
    const int32_t n = k->conv.in.n;
    if (!kept || kept->kernel != k->kernel || kept->direction != k->direction ||
        kept->source[0].tensor != first->tensor || kept->source[0].fp32 != first->fp32) {
        return;
    }
    k->conv.in.n = kept->conv.in.n;
    if (mls__same_conv(&k->conv, &kept->conv)) *k = *kept;
    k->conv.in.n = n, k->g.n = (size_t)n;
}

/* Everything before the memory. */
static mls_status mls__open(mls_conv_call *k, const mls_conv *conv, mls_direction direction,
                            const mls_source *first, const mls_source *second, float *out)
{
    mls_status status = MLS_OK;
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT) return MLS_ERROR_ARGUMENT;
    if (!mls_conv_output(conv).n) return MLS_ERROR_SHAPE;
    mls__call_make(k, conv, direction, mls__unit());
    mls__open_kept(k, first);
    k->source[0] = *first, k->source[1] = *second, k->out = out;
    if (first->operand || second->operand)
        status = mls__open_operands(k);
    else if (!first->fp32 || !second->fp32)
        status = mls__open_tensors(k);
    else if (!k->kept)
        mls__choose(k, mls__unit(), 0, 0);
    for (size_t i = 0; i < (second->step ? k->g.n : 1) && status == MLS_OK; i++) {
        float scale = mls__scale_of(k, i).factors[1];
        if (!((mls__bits(scale) & 0x7fffffffu) < 0x7f800000u)) status = MLS_ERROR_NONFINITE;
    }
    return status;
}

MLS_DEF size_t mls_conv_call_size(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second, int32_t threads)
{
    mls_format none;
    mls_conv c;
    int fp32;
    memset(&none, 0, sizeof none);
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT || !mls_conv_output(conv).n) return 0;
    fp32 = mls__same_format(first, none) && mls__same_format(second, none);
    if (threads < 1 ||
        (!fp32 && (mls_format_check(first) != MLS_OK || mls_format_check(second) != MLS_OK))) {
        return 0;
    }
    c = mls__conv_defaults(conv);
    return mls__align(sizeof(mls_conv_call), MLS__ALIGN) +
           mls__direction_workspace(&c, direction, fp32 ? 0 : &first, fp32 ? 0 : &second, threads);
}

MLS_DEF mls_status mls_conv_begin(mls_conv_call **call, const mls_conv *conv,
                                  mls_direction direction, const mls_source *first,
                                  const mls_source *second, const mls_sink *sink, int32_t threads,
                                  void *work, size_t size)
{
    const size_t head = mls__align(sizeof(mls_conv_call), MLS__ALIGN);
    uint8_t *p = (uint8_t *)work;
    size_t skip = mls__skip(p);
    mls_status status;
    mls_conv_call *k;
    if (call) *call = 0;
    if (!call || !first || !second || !sink || !work || threads < 1) return MLS_ERROR_ARGUMENT;
    if (direction == MLS_BACKWARD_WEIGHT && !sink->out) return MLS_ERROR_ARGUMENT;
    if (size < skip + head) return MLS_ERROR_MEMORY;
    k = (mls_conv_call *)(void *)(p + skip);
    status = mls__open(k, conv, direction, first, second, sink->out);
    if (status != MLS_OK) return status;
    status =
        mls__call_place(k, p + skip + head, size - skip - head, (size_t)threads, (size_t)threads);
    if (status != MLS_OK) return status;
    if (!mls__floats_good(threads)) return MLS_ERROR_FLOATS;
    if (!k->kept) k->method->begin(k);
    *call = k;
    return MLS_OK;
}

/* A call for single images. */
static void mls__keep_make(mls_conv_call *k, const mls_conv *conv, mls_direction direction,
                           int unit)
{
    mls_conv one = *conv;
    one.in.n = 1;
    mls__call_make(k, &one, direction, unit);
}

/* Chooses a method for weights that use these exponents. Whether it is the one whatever the second operand
   holds, and packs them. */
static int mls__keeps(mls_conv_call *k, int unit, int used)
{
    const mls__method *narrow;
    mls__choose(k, unit, used, 0);
    narrow = k->method;
    mls__choose(k, unit, used, mls__k_max(k->format[1]));
    return k->method == narrow && narrow != &mls__methods[MLS__REFERENCE];
}

MLS_DEF size_t mls_conv_keep_size(const mls_conv *conv, mls_direction direction, mls_format first,
                                  mls_format second)
{
    static const float some = 0;
    mls_format none;
    size_t most = 0;
    memset(&none, 0, sizeof none);
    if (!mls_conv_call_size(conv, direction, first, second, 1) || direction > MLS_BACKWARD_DATA) {
        return 0;
    }
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
        mls_conv_call k;
        if (!mls__unit_here(unit)) continue;
        mls__keep_make(&k, conv, direction, unit);
        if (mls__same_format(first, none)) k.source[0].fp32 = &some;
        k.format[0] = first, k.format[1] = second;
        for (int used = mls__k_max(first) < 31 ? mls__k_max(first) : 31; used >= 0; used--) {
            if (!mls__keeps(&k, unit, used)) continue; /* above 30 all is too large to fold */
            most = mls__most(most, mls__call_layout(&k, 0, 0));
        }
    }
    return most ? MLS__ALIGN + mls__align(sizeof(mls_conv_call), MLS__ALIGN) + most : 0;
}

MLS_DEF mls_status mls_conv_keep(mls_conv_call **kept, const mls_conv *conv,
                                 mls_direction direction, const mls_source *first,
                                 mls_format second, void *memory, size_t size)
{
    const size_t head = mls__align(sizeof(mls_conv_call), MLS__ALIGN);
    uint8_t *p = (uint8_t *)memory;
    const size_t skip = mls__skip(p);
    mls_conv_call *k;
    int used = 0;
    if (kept) *kept = 0;
    if (!kept || !conv || (unsigned)direction > MLS_BACKWARD_DATA || !first || !memory ||
        (!first->tensor && !first->fp32)) {
        return MLS_ERROR_ARGUMENT;
    }
    if (!mls_conv_output(conv).n) return MLS_ERROR_SHAPE;
    if (size < skip + head) return MLS_ERROR_MEMORY;
    k = (mls_conv_call *)(void *)(p + skip);
    mls__keep_make(k, conv, direction, mls__unit());
    k->source[0] = *first, k->format[1] = second;
    if (first->fp32) {
        if (!mls__same_format(second, k->format[0])) return MLS_ERROR_FORMAT;
    } else {
        const mls_tensor *t = first->tensor;
        mls_status status = mls__tensor_fits(t, t->format, mls_conv_weight_shape(&k->conv), 0);
        if (status == MLS_OK) {
            status = mls_conv_check(&k->conv, direction, t->format, second, 0, 0);
        }
        if (status != MLS_OK) return status;
        used = mls__k_used(t, 0), k->format[0] = t->format;
        if (used < 0) return MLS_ERROR_FORMAT;
    }
    if (!mls__keeps(k, mls__unit(), used)) return MLS_OK;
    if (size < skip + head + mls__call_layout(k, 0, 0)) return MLS_ERROR_MEMORY;
    if (!mls__floats_good(1)) return MLS_ERROR_FLOATS;
    mls__call_layout(k, 0, p + skip + head);
    k->method->begin(k);
    k->kept = 1, *kept = k;
    return MLS_OK;
}

/* Some images; several where the method takes several at a time. */
static void mls__some_images(const mls_conv_call *k, size_t n, size_t count, size_t slot,
                             float *out)
{
    if (!out && !mls__weighted(k)) out = k->out + n * k->g.oh * k->g.ow * k->g.oc;
    k->method->images(k, n, count, slot, out);
}

MLS_DEF void mls_conv_image(const mls_conv_call *k, int32_t n, int32_t thread, float *out)
{
    mls__some_images(k, (size_t)n, 1, (size_t)thread, out);
}

MLS_DEF void mls_conv_leave(const mls_conv_call *k, int32_t thread)
{
    k->method->leave(k, (size_t)thread);
}

/* Below about a tenth of a millisecond threads cost more than they give. */
static int mls__worth_threads(const mls_conv_call *k)
{
    const mls__geometry *g = &k->g;
    return g->n * g->oh * g->ow * g->oc * g->kh * g->kw * g->c > 1 << 22;
}

MLS_DEF void mls_conv_end(const mls_conv_call *k)
{
    int many = mls__worth_threads(k);
    (void)many; /* without OpenMP */
    if (!mls__weighted(k)) return;
    MLS__OMP(omp parallel for schedule(static) num_threads((int)k->slots) if (many))
    for (int32_t ky = 0; ky < k->conv.kh; ky++) k->method->end(k, (size_t)ky);
}

/* A whole convolution. With less memory than all threads need fewer are used. */
static mls_status mls__convolve_all(const mls_conv *conv, mls_direction direction,
                                    const mls_source *first, const mls_source *second, float *out,
                                    void *work, size_t size)
{
    mls_conv_call k;
    size_t n, some = 1, share;
    int64_t blocks;
    int many;
    mls_status status;
    if (!first || !second || !out) return MLS_ERROR_ARGUMENT;
    status = mls__open(&k, conv, direction, first, second, out);
    if (status != MLS_OK) return status;
    n = k.g.n;
    many = mls__worth_threads(&k) || k.method == &mls__methods[MLS__REFERENCE];
    status = mls__call_place(&k, work, size, 1, mls__least((size_t)MLS__THREADS(), n));
    if (status != MLS_OK) return status;
    if (!mls__floats_good(many ? (int)k.slots : 1)) return MLS_ERROR_FLOATS;
    k.method->begin(&k);
    /* floats are summed block by block; integers may take any share */
    share = mls__up_div(n, k.slots);
    if (!mls__weighted(&k) && k.data.together) some = mls__least(k.data.together, share);
    blocks = (int64_t)mls__up_div(n, mls__weighted(&k) ? share : some);
    if (mls__weighted(&k) && k.source[0].fp32) blocks = mls__blocks((int32_t)n);
    MLS__OMP(omp parallel num_threads((int)k.slots) if (many))
    {
        size_t slot = (size_t)MLS__THREAD();
        MLS__OMP(omp for schedule(static))
        for (int64_t b = 0; b < blocks; b++) {
            size_t i = (size_t)b, last = i + 1;
            if (mls__weighted(&k)) i = i * n / (size_t)blocks, last = last * n / (size_t)blocks;
            if (some > 1) i = (size_t)b * some, last = mls__least(i + some, n);
            if (some > 1) mls__some_images(&k, i, last - i, slot, 0);
            for (; i < last && some == 1; i++) mls__some_images(&k, i, 1, slot, 0);
        }
        k.method->leave(&k, slot);
    }
    mls_conv_end(&k);
    return MLS_OK;
}

/* ------------------------------------------------------------------------------- >>operands
   Weights: [elements, folded] [packed for forward] [packed for backward-data]; images: padded, one
   behind the other. Behind them multipliers, and the tensor without codes. */

typedef struct mls__parts {
    uint8_t *data, *packed[2], *tensor;
    int32_t *bias[2];
    size_t step; /* from image to image */
    mls__folding fold;
} mls__parts;

static mls_shape mls__role_shape(const mls_conv *c, mls_role role)
{
    return role == MLS_WEIGHT       ? mls_conv_weight_shape(c)
           : role == MLS_ACTIVATION ? c->in
                                    : mls_conv_output(c);
}

/* A convolution that takes the operand, with its folding: the one that weights are packed for, or
   that pads the image. */
static void mls__operand_call(mls_conv_call *k, const mls_operand *o, int back)
{
    int amx, kind = o->bits == 8 ? MLS__S8 : MLS__S16;
    mls__call_make(k, &o->conv, back ? MLS_BACKWARD_DATA : MLS_FORWARD, o->kernel);
    for (int i = 0; i < 2; i++) {
        k->source[i].operand = o, k->format[i] = o->tensor.format;
        k->k[i] = mls__k_max(o->tensor.format);
    }
    mls__sums_of(k, (size_t)o->bits / 8, 0);
    if (kind == MLS__S8) k->bias = k->kernel->bias;
    amx = k->kernel->amx &&
          (kind == MLS__S8 || mls__terms(&k->conv, k->direction) <= MLS__BYTE_TERMS);
    k->method = mls__methods;
    while (k->method->grouped || k->method->weight || k->method->kind != kind ||
           (k->method->leave != mls__no_leave) != amx) {
        k->method++;
    }
}

/* Bytes of the parts of an operand, and their addresses if there is a base. */
static MLS__APART size_t mls__operand_layout(const mls_operand *o, uint8_t *base, mls__parts *p)
{
    mls__cursor at = {base, 0};
    mls_shape shape = mls__role_shape(&o->conv, o->role);
    mls_conv_call k;
    mls__operand_call(&k, o, o->role == MLS_ERROR);
    p->step = mls__align(k.g.rows * k.g.cols * k.g.c * k.size, MLS__ALIGN);
    if (o->role != MLS_WEIGHT) { /* behind the last one what tiles touch */
        if (p->step > SIZE_MAX / 4 / (size_t)shape.n) return 0;
        p->data =
            (uint8_t *)mls__take(&at, p->step * (size_t)shape.n + mls__image_bytes(&k.g, k.size));
        p->fold = mls__take_folding(&k, &at);
    } else {
        p->data = (uint8_t *)mls__take(&at, mls__elements(shape) * k.size);
        /* groups are packed as they are used */
        for (int i = 0; i < 2 && o->conv.groups == 1; i++) {
            mls__cursor none = {0, 0};
            if (i) mls__operand_call(&k, o, 1);
            k.method->layout(&k, &none);
            mls__take_packed(&k, &at);
            p->packed[i] = k.data.packed, p->bias[i] = k.data.bias;
        }
    }
    p->tensor = (uint8_t *)mls__take(&at, mls_tensor_size(o->tensor.format, shape));
    return at.at;
}

MLS_DEF int32_t mls_operand_bits(mls_format format)
{
    int64_t most;
    if (mls_format_check(format) != MLS_OK) return 0;
    most = mls__folded_max(format, mls__k_max(format));
    return most <= 127 ? 8 : most <= 32767 ? 16 : 0;
}

/* An operand without memory; its bytes, 0 for a bad argument. */
static size_t mls__operand_make(mls_operand *o, const mls_conv *conv, mls_role role,
                                mls_format format, int32_t bits)
{
    mls__parts p;
    size_t size;
    memset(o, 0, sizeof *o);
    if (!conv || (unsigned)role > MLS_ERROR || (bits != 8 && bits != 16)) return 0;
    if (mls_conv_wrong(conv) || !mls_operand_bits(format)) return 0;
    o->conv = mls__conv_defaults(conv);
    o->role = role, o->bits = bits, o->kernel = mls__unit();
    o->tensor.format = format;
    if (!mls_tensor_size(format, mls__role_shape(&o->conv, role))) return 0;
    size = mls__operand_layout(o, 0, &p);
    return size ? size + MLS__ALIGN : 0;
}

MLS_DEF size_t mls_operand_size(const mls_conv *conv, mls_role role, mls_format format,
                                int32_t bits)
{
    mls_operand o;
    return mls__operand_make(&o, conv, role, format, bits);
}

/* The weights to both packed forms, from their folded elements or from codes. */
static MLS__APART void mls__operand_pack(mls_operand *o, const mls__parts *p, int codes)
{
    for (int i = 0; i < 2 && o->conv.groups == 1; i++) {
        mls__cursor none = {0, 0};
        mls_conv_call k;
        mls__operand_call(&k, o, i);
        k.method->layout(&k, &none);
        k.data.packed = p->packed[i], k.data.bias = p->bias[i];
        k.integers = codes ? 0 : p->data;
        mls__pack_weights(&k);
        o->row_largest[i] = k.data.row_largest;
    }
}

MLS_DEF mls_status mls_operand_init(mls_operand *operand, const mls_conv *conv, mls_role role,
                                    mls_format format, int32_t bits, void *memory, size_t size)
{
    mls__parts p;
    mls_operand o;
    size_t need;
    if (!operand || !conv || !memory || (unsigned)role > MLS_ERROR || (bits != 8 && bits != 16)) {
        return MLS_ERROR_ARGUMENT;
    }
    if (!mls_operand_bits(format) || mls_operand_bits(format) > bits) return MLS_ERROR_FORMAT;
    need = mls__operand_make(&o, conv, role, format, bits);
    if (!need) return MLS_ERROR_SHAPE;
    if (size < need) return MLS_ERROR_MEMORY;
    o.data = (uint8_t *)memory + mls__skip(memory);
    mls__operand_layout(&o, o.data, &p);
    memset(o.data, role == MLS_WEIGHT || bits == 16 ? 0 : mls__kernels[o.kernel]->bias,
           (size_t)(p.tensor - o.data));
    mls__tensor_place(&o.tensor, format, mls__role_shape(&o.conv, role), p.tensor);
    mls__tensor_clear(&o.tensor);
    o.tensor.code = 0;
    if (role == MLS_WEIGHT) mls__operand_pack(&o, &p, 0);
    *operand = o;
    return MLS_OK;
}

/* Elements first .. first + count - 1, which stand at from, to their places in padded images. */
static void mls__operand_put(const mls__geometry *g, size_t size, size_t step, const uint8_t *from,
                             size_t first, size_t count, uint8_t *data)
{
    size_t row = g->w * g->c, left = mls__least(g->left, g->cols);
    size_t most = (g->cols - left) * g->c; /* elements that a row takes */
    while (count) {
        size_t line = first / row, at = first % row, n = mls__least(row - at, count);
        size_t y = line % g->h + g->top;
        if (at < most && y < g->rows) {
            uint8_t *to = data + line / g->h * step + ((y * g->cols + left) * g->c + at) * size;
            memcpy(to, from, mls__least(n, most - at) * size);
        }
        from += n * size, first += n, count -= n;
    }
}

enum {
    MLS__CHUNK =
        MLS__TILE > 16 ? 1024 : 64 /* elements that wait in the L1 cache for their places */
};

/* Some elements, after the scales are known. */
static MLS__APART void mls__operand_chunk(const mls_operand *o, const mls__geometry *g, size_t step,
                                          const float *x, uint64_t seed, size_t first, size_t count)
{
    size_t size = (size_t)o->bits / 8;
    int bias = size == 1 && o->role != MLS_WEIGHT ? mls__kernels[o->kernel]->bias : 0;
    uint8_t chunk[MLS__CHUNK * 2], *to = o->role == MLS_WEIGHT ? o->data + first * size : chunk;
    mls__quantize_integers(&o->tensor, x, seed, first, first + count, (int)size,
                           mls__k_max(o->tensor.format), bias, to);
    if (o->role != MLS_WEIGHT) mls__operand_put(g, size, step, chunk, first, count, o->data);
}

MLS_DEF mls_status mls_operand_quantize(mls_operand *o, const float *x, uint64_t seed)
{
    mls__parts p;
    mls__geometry g;
    mls_status status;
    size_t elements;
    int64_t chunks, n;
    if (!o || !x || !o->data) return MLS_ERROR_ARGUMENT;
    if (o->kernel != mls__unit()) return MLS_ERROR_KERNEL;
    mls__operand_layout(o, o->data, &p);
    g = mls__geometry_make(&o->conv, o->role == MLS_ERROR ? MLS_BACKWARD_DATA : MLS_FORWARD);
    elements = mls__elements(o->tensor.shape), n = o->tensor.shape.n;
    chunks = (int64_t)mls__up_div(elements, MLS__CHUNK);
    if (!mls__floats_good(chunks > 64 ? MLS__THREADS() : 1)) return MLS_ERROR_FLOATS;
    MLS__OMP(omp parallel for schedule(static) if (chunks > 64))
    for (int64_t i = 0; i < n; i++) {
        mls__quantize_peaks(&o->tensor, x, (size_t)i, (size_t)i + 1);
    }
    status = mls__quantize_scales(&o->tensor);
    if (status != MLS_OK) return status;
    MLS__OMP(omp parallel for schedule(static) if (chunks > 64))
    for (int64_t i = 0; i < chunks; i++) {
        size_t first = (size_t)i * MLS__CHUNK;
        mls__operand_chunk(o, &g, p.step, x, seed, first, mls__least(elements - first, MLS__CHUNK));
    }
    if (o->role == MLS_WEIGHT) mls__operand_pack(o, &p, 0);
    return MLS_OK;
}

MLS_DEF mls_status mls_operand_load(mls_operand *o, const mls_tensor *t)
{
    mls__parts p;
    if (!o || !t || !o->data || !t->code || !t->group) return MLS_ERROR_ARGUMENT;
    if (o->kernel != mls__unit()) return MLS_ERROR_KERNEL;
    if (!mls__same_format(t->format, o->tensor.format)) return MLS_ERROR_FORMAT;
    if (!mls__same_shape(t->shape, o->tensor.shape)) return MLS_ERROR_SHAPE;
    if (mls__k_used(t, 0) < 0) return MLS_ERROR_FORMAT;
    mls__operand_layout(o, o->data, &p);
    o->tensor.scale = t->scale;
    memcpy(o->tensor.group, t->group, mls_group_count(t->format, t->shape) * sizeof *t->group);
    o->tensor.code = t->code;
    if (o->role == MLS_WEIGHT && o->conv.groups > 1) {
        size_t all = mls__elements(t->shape);
        mls_conv_call k;
        mls__operand_call(&k, o, 0);
        for (size_t i = 0; i < all; i += MLS__AHEAD) {
            mls__fold_weights(&k, t, i, mls__least(all - i, MLS__AHEAD), p.data + i * k.size);
        }
    } else if (o->role == MLS_WEIGHT) {
        mls__operand_pack(o, &p, 1);
    } else {
        mls_conv_call k;
        mls__operand_call(&k, o, o->role == MLS_ERROR);
        for (size_t n = 0; n < k.g.n; n++) mls__pad_image(&k, n, &p.fold, p.data + n * p.step, 0);
    }
    o->tensor.code = 0;
    return MLS_OK;
}

static MLS__APART mls_status mls__open_operands(mls_conv_call *k)
{
    static const mls_role roles[3][2] = {
        {MLS_WEIGHT, MLS_ACTIVATION}, {MLS_WEIGHT, MLS_ERROR}, {MLS_ERROR, MLS_ACTIVATION}};
    const mls_operand *o[2];
    mls__parts p;
    mls_status status;
    for (int i = 0; i < 2; i++) {
        o[i] = k->source[i].operand;
        if (!o[i] || !o[i]->data || o[i]->role != roles[k->direction][i] || k->source[i].step) {
            return MLS_ERROR_ARGUMENT;
        }
        if (!mls__same_conv(&o[i]->conv, &k->conv)) return MLS_ERROR_SHAPE;
        if (o[i]->kernel != mls__unit()) return MLS_ERROR_KERNEL;
        k->format[i] = o[i]->tensor.format;
    }
    if (o[0]->bits != o[1]->bits) return MLS_ERROR_FORMAT;
    status = mls_conv_check(&k->conv, k->direction, k->format[0], k->format[1], 0, 0);
    if (status != MLS_OK) return status;
    mls__choose(k, mls__unit(), mls__k_max(k->format[0]), mls__k_max(k->format[1]));
    if (k->method == &mls__methods[MLS__REFERENCE])
        return MLS_ERROR_RANGE; /* 16 bits go by parts */
    mls__operand_layout(o[1], o[1]->data, &p);
    k->images = p.data, k->images_step = p.step;
    mls__operand_layout(o[0], o[0]->data, &p);
    if (mls__weighted(k)) {
        mls__geometry e = mls__geometry_make(&k->conv, MLS_BACKWARD_DATA);
        size_t pixel = e.c * k->size;
        k->errors_row = e.cols * pixel, k->errors_step = p.step;
        k->errors = p.data + e.top * k->errors_row + e.left * pixel;
    } else {
        int which = k->direction == MLS_BACKWARD_DATA;
        if (k->conv.groups > 1)
            k->integers = p.data;
        else
            k->packed = p.packed[which], k->packed_bias = p.bias[which];
        k->data.row_largest = o[0]->row_largest[which];
    }
    return MLS_OK;
}

/* --------------------------------------------------------------------------------- >>public */

static mls_status mls__conv_integer(const mls_conv *conv, mls_direction direction,
                                    const mls_tensor *first, const mls_tensor *second,
                                    float *output, void *workspace, size_t size)
{
    mls_source a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.tensor = first, b.tensor = second;
    return mls__convolve_all(conv, direction, &a, &b, output, workspace, size);
}

static mls_status mls__conv_fp32(const mls_conv *conv, mls_direction direction, const float *first,
                                 const float *second, float *output, void *workspace, size_t size)
{
    mls_source a, b;
    if (!first || !second) return MLS_ERROR_ARGUMENT;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.fp32 = first, b.fp32 = second;
    return mls__convolve_all(conv, direction, &a, &b, output, workspace, size);
}

MLS_DEF mls_status mls_conv_prepared(const mls_conv *conv, mls_direction direction,
                                     const mls_operand *first, const mls_operand *second,
                                     float *output, void *workspace, size_t size)
{
    mls_source a, b;
    if (!first || !second) return MLS_ERROR_ARGUMENT;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.operand = first, b.operand = second;
    return mls__convolve_all(conv, direction, &a, &b, output, workspace, size);
}

MLS_DEF mls_status mls_conv_forward(const mls_conv *conv, const mls_tensor *weight,
                                    const mls_tensor *activation, float *output, void *workspace,
                                    size_t size)
{
    return mls__conv_integer(conv, MLS_FORWARD, weight, activation, output, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_data(const mls_conv *conv, const mls_tensor *weight,
                                          const mls_tensor *error, float *dinput, void *workspace,
                                          size_t size)
{
    return mls__conv_integer(conv, MLS_BACKWARD_DATA, weight, error, dinput, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_weight(const mls_conv *conv, const mls_tensor *error,
                                            const mls_tensor *activation, float *dweight,
                                            void *workspace, size_t size)
{
    return mls__conv_integer(conv, MLS_BACKWARD_WEIGHT, error, activation, dweight, workspace,
                             size);
}

MLS_DEF mls_status mls_conv_forward_fp32(const mls_conv *conv, const float *weight,
                                         const float *activation, float *output, void *workspace,
                                         size_t size)
{
    return mls__conv_fp32(conv, MLS_FORWARD, weight, activation, output, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_data_fp32(const mls_conv *conv, const float *weight,
                                               const float *error, float *dinput, void *workspace,
                                               size_t size)
{
    return mls__conv_fp32(conv, MLS_BACKWARD_DATA, weight, error, dinput, workspace, size);
}

MLS_DEF mls_status mls_conv_backward_weight_fp32(const mls_conv *conv, const float *error,
                                                 const float *activation, float *dweight,
                                                 void *workspace, size_t size)
{
    return mls__conv_fp32(conv, MLS_BACKWARD_WEIGHT, error, activation, dweight, workspace, size);
}

static void mls__say_operand(const mls_conv_call *k, int which, char *text, size_t size)
{
    static const char *const names[3][2] = {{"W", "A"}, {"W", "E"}, {"E", "A"}};
    int by = k->k[which];
    mls__say(text, size, names[k->direction][which]);
    mls__say(text, size, " up to ");
    mls__say_int(text, size, mls__folded_max(k->format[which], 0));
    if (by) mls__say(text, size, " * 2^");
    if (by) mls__say_int(text, size, by);
}

/* What the method was chosen for: the first thing that a faster one does not hold. */
static void mls__say_reason(const mls_conv_call *k, char *text, size_t size)
{
    int64_t w = mls__folded_max(k->format[0], k->k[0]), a = mls__folded_max(k->format[1], k->k[1]);
    int64_t most = w > a ? w : a;
    int bits = mls__acc_bits(&k->conv, k->direction, k->format[0], k->format[1]);
    int planes = k->planes[0] + k->planes[1] > 2;
    if (k->method->kind == MLS__S8) {
        mls__say(text, size, "8 bits hold both");
    } else if (k->method->kind == MLS__S16 && !planes && !k->pairs && most <= 127) {
        mls__say(text, size, "8 bits hold both, but 32 bits not the sums");
    } else if (k->method->kind == MLS__S16 && !planes && !k->pairs) {
        mls__say(text, size, "16 bits hold both, 8 do not");
    } else if (planes && most <= 32767) {
        mls__say(text, size, "16 bits hold both, but 32 bits too few products");
    } else if (planes) {
        mls__say(text, size, "16 bits do not hold both, two planes do");
    } else if (bits > 62) {
        mls__say(text, size, "sums of ");
        mls__say_int(text, size, bits);
        mls__say(text, size, " bits");
    } else if (k->k[0] + k->k[1] > mls__fraction_bits(k->format[0], k->format[1])) {
        mls__say(text, size, "shifts by these exponents round");
    } else {
        mls__say(text, size, "two planes of 16 bits do not hold both");
    }
}

static void mls__explain(const mls_conv_call *k, char *text, size_t size)
{
    int reference = k->method == &mls__methods[MLS__REFERENCE];
    if (!reference) {
        for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) {
            if (mls__kernels[unit] == k->kernel) mls__say(text, size, mls__unit_names[unit]);
        }
        mls__say(text, size, " ");
    }
    mls__say(text, size, k->method->name);
    if (k->method->kind == MLS__F32 && !reference) return;
    mls__say(text, size, ": ");
    if (k->kernel == mls__kernels[0]) {
        mls__say(text, size, "the scalar kernel was asked for");
        return;
    }
    mls__say_operand(k, 0, text, size);
    mls__say(text, size, ", ");
    mls__say_operand(k, 1, text, size);
    mls__say(text, size, ": ");
    mls__say_reason(k, text, size);
}

MLS_DEF mls_status mls_conv_explain(const mls_conv *conv, mls_direction direction, mls_format first,
                                    mls_format second, char *text, size_t size)
{
    static const float some = 0;
    mls_format zero;
    mls_conv_call k;
    memset(&zero, 0, sizeof zero);
    if (text && size) text[0] = 0;
    if (!conv || (unsigned)direction > MLS_BACKWARD_WEIGHT) return MLS_ERROR_ARGUMENT;
    if (!mls_conv_output(conv).n) return MLS_ERROR_SHAPE;
    mls__call_make(&k, conv, direction, mls__unit());
    k.format[0] = first, k.format[1] = second;
    if (mls__same_format(first, zero) && mls__same_format(second, zero)) {
        k.source[0].fp32 = &some;
        mls__choose(&k, mls__unit(), 0, 0);
    } else {
        mls_status status = mls_conv_check(&k.conv, direction, first, second, text, size);
        if (status != MLS_OK) return status;
        mls__choose(&k, mls__unit(), mls__k_max(first), mls__k_max(second));
    }
    mls__explain(&k, text, size);
    return MLS_OK;
}

MLS_DEF void mls_conv_call_explain(const mls_conv_call *call, char *text, size_t size)
{
    if (text && size) text[0] = 0;
    mls__explain(call, text, size);
}

MLS_DEF int mls_kernel_count(void)
{
    int count = 0;
    for (int unit = 0; unit < MLS__UNIT_COUNT; unit++) count += mls__unit_here(unit);
    return count;
}

MLS_DEF const char *mls_kernel_name(int index)
{
    for (int unit = 0; unit < MLS__UNIT_COUNT && index >= 0; unit++) {
        if (mls__unit_here(unit) && index-- == 0) return mls__unit_names[unit];
    }
    return 0;
}

MLS_DEF const char *mls_kernel_used(void)
{
    return mls__unit_names[mls__unit()];
}

MLS_DEF mls_status mls_kernel_use(const char *name)
{
    if (!name) return MLS_ERROR_ARGUMENT;
    for (int unit = MLS__UNIT_COUNT - 1; unit >= 0; unit--) {
        if (strcmp(name, mls__unit_names[unit]) != 0 && strcmp(name, "auto") != 0) continue;
        if (!mls__unit_here(unit)) continue;
        MLS__PUT(&mls__unit_chosen, unit + 1);
        return MLS_OK;
    }
    return MLS_ERROR_KERNEL;
}

/* mls_train.h has no use for these. */
#undef MLS__UNUSED
#undef MLS__APART
#undef MLS__PUT
#undef MLS__ALL16

#endif /* MLS__CONV_IMPLEMENTED */
#endif /* MLS_IMPLEMENTATION */

/* ------------------------------------------------------------------------------- >>template
   Instantiated for every vector unit. A unit brings the two integer dot products; the rest is
   common. Vectors are typed as int32 and reinterpreted. */
#elif MLS__LANES > 1

enum {
    MLS__FN(mls__parts) = MLS__LANE / MLS__LANES
}; /* vectors of a block of 16 lanes */

typedef int64_t MLS__FN(mls__i64) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint64_t MLS__FN(mls__u64c) __attribute__((vector_size(4 * MLS__LANES)));
typedef int32_t MLS__FN(mls__half32) __attribute__((vector_size(2 * MLS__LANES)));

/* Sums wrap: lanes that nobody asked for hold anything. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__addi)(MLS__I a, MLS__I b)
{
    return (MLS__I)((MLS__FN(mls__u32))a + (MLS__FN(mls__u32))b);
}

/* acc + the products of the four bytes of each lane. On VNNI a is unsigned; elsewhere both are
   signed and at most 127, so that no pair of products can saturate: 2 * 127 * 127 < 32768. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot8)(MLS__I acc, MLS__I a, MLS__I b)
{
#if MLS__LANES == 16
    return (MLS__I)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif MLS__UNIT == MLS__ISA_AVXVNNI
    return (MLS__I)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)a, (__m256i)b);
#elif MLS__UNIT == MLS__ISA_AVX2
    __m256i pairs =
        _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)a), _mm256_sign_epi8((__m256i)b, (__m256i)a));
    return MLS__FN(mls__addi)(acc, (MLS__I)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#elif MLS__UNIT == MLS__ISA_SSE41
    __m128i pairs =
        _mm_maddubs_epi16(_mm_abs_epi8((__m128i)a), _mm_sign_epi8((__m128i)b, (__m128i)a));
    return MLS__FN(mls__addi)(acc, (MLS__I)_mm_madd_epi16(pairs, _mm_set1_epi16(1)));
#elif MLS__UNIT == MLS__ISA_DOTPROD
    return (MLS__I)vdotq_s32((int32x4_t)acc, (int8x16_t)a, (int8x16_t)b);
#else
    int8x16_t x = (int8x16_t)a, y = (int8x16_t)b;
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(x), vget_high_s8(y)));
#if defined(__aarch64__)
    return MLS__FN(mls__addi)(acc, (MLS__I)vpaddq_s32(low, high));
#else
    return MLS__FN(mls__addi)(
        acc, (MLS__I)vcombine_s32(vpadd_s32(vget_low_s32(low), vget_high_s32(low)),
                                  vpadd_s32(vget_low_s32(high), vget_high_s32(high))));
#endif
#endif
}

/* acc + the products of the two int16 of each lane. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot16)(MLS__I acc, MLS__I a, MLS__I b)
{
#if MLS__LANES == 16
    return (MLS__I)_mm512_dpwssd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif MLS__UNIT == MLS__ISA_AVXVNNI
    return (MLS__I)_mm256_dpwssd_avx_epi32((__m256i)acc, (__m256i)a, (__m256i)b);
#elif MLS__UNIT == MLS__ISA_AVX2
    return MLS__FN(mls__addi)(acc, (MLS__I)_mm256_madd_epi16((__m256i)a, (__m256i)b));
#elif MLS__UNIT == MLS__ISA_SSE41
    return MLS__FN(mls__addi)(acc, (MLS__I)_mm_madd_epi16((__m128i)a, (__m128i)b));
#else
    int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
    int32x4_t high = vmull_s16(vget_high_s16(x), vget_high_s16(y));
#if defined(__aarch64__)
    return MLS__FN(mls__addi)(acc, (MLS__I)vpaddq_s32(low, high));
#else
    return MLS__FN(mls__addi)(
        acc, (MLS__I)vcombine_s32(vpadd_s32(vget_low_s32(low), vget_high_s32(low)),
                                  vpadd_s32(vget_low_s32(high), vget_high_s32(high))));
#endif
#endif
}

/* int32 to int64: __builtin_convertvector takes five instructions where there is one. */
MLS__INLINE MLS__TARGET MLS__FN(mls__i64) MLS__FN(mls__widen)(MLS__FN(mls__half32) v)
{
#if MLS__LANES == 16
    return (MLS__FN(mls__i64))_mm512_maskz_cvtepi32_epi64(255, (__m256i)v);
#elif MLS__LANES == 8
    return (MLS__FN(mls__i64))_mm256_cvtepi32_epi64((__m128i)v);
#else
    return __builtin_convertvector(v, MLS__FN(mls__i64));
#endif
}

/* wide[0 .. lanes) += p shifted by shift to the left, or -shift to the right, rounded down. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__add_wide)(MLS__FN(mls__i64) * wide, MLS__I p,
                                                    MLS__I shift)
{
    MLS__I zero = MLS__SETI(0), left = MLS__MAXI(shift, zero);
    MLS__FN(mls__half32) half[2], by[2];
    p = p >> MLS__MINI(left - shift, MLS__SETI(31));
    memcpy(half, &p, sizeof p);
    memcpy(by, &left, sizeof left);
    for (int i = 0; i < 2; i++) {
        wide[i] += (MLS__FN(mls__i64))((MLS__FN(mls__u64c))MLS__FN(mls__widen)(half[i])
                                       << (MLS__FN(mls__u64c))MLS__FN(mls__widen)(by[i]));
    }
}

MLS__INLINE MLS__TARGET void MLS__FN(mls__store_part)(float *to, MLS__F v, int32_t n)
{
#if MLS__LANES == 16
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    for (int32_t i = 0; i < n; i++) to[i] = v[i];
#endif
}

#if MLS__LANES == 16
MLS__INLINE MLS__TARGET __m512d MLS__FN(mls__doubles)(__m256i v)
{
    return _mm512_maskz_cvtepi32_pd(255, v); /* without a mask gcc warns */
}
#endif

/* (float)(high * power + low); doubles hold the sum. */
MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__join)(MLS__I high, MLS__I low, double power)
{
    MLS__F joined;
#if MLS__LANES == 16
    __m256i up[2], down[2];
    __m256 z[2];
    memcpy(up, &high, sizeof up);
    memcpy(down, &low, sizeof down);
    MLS__UNROLL
    for (int i = 0; i < 2; i++) {
        __m512d sum = _mm512_fmadd_pd(MLS__FN(mls__doubles)(up[i]), _mm512_set1_pd(power),
                                      MLS__FN(mls__doubles)(down[i]));
        z[i] = _mm512_maskz_cvtpd_ps(255, sum);
    }
    joined = (MLS__F)_mm512_maskz_insertf32x8(MLS__ALL16, _mm512_castps256_ps512(z[0]), z[1], 1);
#else
    for (int i = 0; i < MLS__LANES; i++) joined[i] = (float)(high[i] * power + low[i]);
#endif
    return joined;
}

#if MLS__UNIT != MLS__ISA_AMX /* which has the functions of its vectors, and tiles */
/* What becomes of the sums of a row of a tile, in any way. */
static MLS__APART MLS__TARGET void MLS__FN(mls__put_any)(int kind, int parts, const mls__dot *d,
                                                         size_t m, const MLS__I *acc)
{
    for (int v = 0; v < parts; v++) {
        const int32_t left = (int32_t)d->lanes - v * MLS__LANES;
        const int32_t *high = d->put == MLS__PUT_JOINED ? d->c + m * d->c_step : 0;
        MLS__F z = MLS__FLOAT(acc[v]);
        float *out;
        if (d->put == MLS__PUT_WIDE && kind != MLS__F32) {
            int64_t *wide = d->wide + m * d->wide_step + (size_t)(v * MLS__LANES);
            MLS__FN(mls__i64) sum[2];
            MLS__I k = MLS__BITS(MLS__LOAD(d->lane_k + v * MLS__LANES));
            memcpy(sum, wide, sizeof sum);
            MLS__FN(mls__add_wide)(sum, acc[v], d->row_shift[m] - k);
            memcpy(wide, sum, sizeof sum);
            continue;
        }
        out = d->out + m * d->out_step + (size_t)(v * MLS__LANES);
        if (kind == MLS__S16 && high) {
            MLS__I up = MLS__BITS(MLS__LOAD(high + v * MLS__LANES));
            z = MLS__FN(mls__join)(up, acc[v], d->power) * MLS__SET(d->scale);
        } else if (kind != MLS__F32) {
            z = MLS__TO_FLOAT(acc[v]) * MLS__SET(d->scale);
        }
        if (left >= MLS__LANES)
            MLS__STORE(out, z);
        else if (left > 0)
            MLS__FN(mls__store_part)(out, z, left);
    }
}

/* The same for the rows of a tile; what is common is written out in every instance. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__put)(int kind, int parts, const mls__dot *d, size_t m,
                                               const MLS__I *acc)
{
    MLS__I sums[3 * MLS__FN(mls__parts)];
    if (d->put == MLS__PUT_SUMS) {
        MLS__UNROLL
        for (int v = 0; v < parts; v++) {
            MLS__STORE(d->c + m * d->c_step + (size_t)(v * MLS__LANES), MLS__FLOAT(acc[v]));
        }
    } else if (d->put == MLS__PUT_FLOATS && (int32_t)d->lanes >= parts * MLS__LANES) {
        float *out = d->out + m * d->out_step;
        MLS__UNROLL
        for (int v = 0; v < parts; v++) {
            MLS__F z = MLS__FLOAT(acc[v]);
            if (kind != MLS__F32) z = MLS__TO_FLOAT(acc[v]) * MLS__SET(d->scale);
            MLS__STORE(out + v * MLS__LANES, z);
        }
    } else {
        MLS__UNROLL
        for (int v = 0; v < parts; v++) sums[v] = acc[v];
        MLS__FN(mls__put_any)(kind, parts, d, m, sums);
    }
}

/* acc + the products of each lane; half: those of the upper half may be anything. Two halves of a
   register of 64 bytes take as long as a whole one where the CPU's data paths have 32. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot_lanes)(int kind, int half, MLS__I acc, MLS__I a,
                                                       MLS__I b)
{
#if MLS__LANES == 16
    if (half) {
        __m256i sum, x, y; /* by memcpy: gcc warns of its own cast */
        memcpy(&sum, &acc, sizeof sum), memcpy(&x, &a, sizeof x), memcpy(&y, &b, sizeof y);
        sum = kind == MLS__S8    ? _mm256_dpbusd_epi32(sum, x, y)
              : kind == MLS__S16 ? _mm256_dpwssd_epi32(sum, x, y)
                                 : (__m256i)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)sum);
        return (MLS__I)_mm512_castsi256_si512(sum);
    }
#endif
    (void)half;
    if (kind == MLS__S8) return MLS__FN(mls__dot8)(acc, a, b);
    if (kind == MLS__S16) return MLS__FN(mls__dot16)(acc, a, b);
    return MLS__BITS(MLS__FMA(MLS__FLOAT(a), MLS__FLOAT(b), MLS__FLOAT(acc)));
}

/* The micro-kernel. kind, mr, nb and half are constants of each instance; half: at most half of the
   last block is asked for. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__tile)(int kind, int mr, int nb, int half,
                                                const mls__dot *d)
{
    enum {
        MLS__PARTS = MLS__FN(mls__parts)
    };
    const int parts = nb * MLS__PARTS - half * (MLS__PARTS / 2);
    MLS__I acc[MLS__ROWS][3 * MLS__PARTS];
    const ptrdiff_t step = (ptrdiff_t)d->a_m;
    const size_t a_word = d->a_word;
    const size_t b_word = d->b_word, b_block = d->b_block;
    const size_t words = d->words;
    const int b_unsigned = d->b_unsigned;
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        MLS__UNROLL
        for (int v = 0; v < parts; v++) {
            acc[m][v] = MLS__SETI(0);
            if (d->init) {
                acc[m][v] = MLS__BITS(
                    MLS__LOAD(d->init + (size_t)m * d->init_step + (size_t)(v * MLS__LANES)));
            }
        }
    }
    for (size_t image = 0; image < d->images; image++) {
        for (size_t row = 0; row < d->rows; row++) {
            /* a pointer for three rows: the step reaches them with scaled addressing */
            const uint8_t *a[(MLS__ROWS + 2) / 3];
            const uint8_t *b = d->b + image * d->b_image + row * d->b_row;
            a[0] = d->a + image * d->a_image + row * d->a_row;
            for (int i = 1; i < (mr + 2) / 3; i++) a[i] = a[i - 1] + 3 * step;
            for (size_t word = 0; word < words; word++) {
                MLS__I bv[3 * MLS__PARTS];
                MLS__UNROLL
                for (int v = 0; v < parts; v++) {
                    bv[v] = MLS__BITS(MLS__LOAD(b + (size_t)(v / MLS__PARTS) * b_block +
                                                (size_t)(v % MLS__PARTS * MLS__LANES * MLS__WORD)));
                }
                MLS__UNROLL
                for (int m = 0; m < mr; m++) {
                    int32_t w;
                    MLS__I av;
                    memcpy(&w, a[m / 3] + m % 3 * step, sizeof w);
                    av = MLS__SETI(w);
                    MLS__UNROLL
                    for (int v = 0; v < parts; v++) {
                        const int half_register = half && v == parts - 1;
                        acc[m][v] =
                            kind == MLS__S8 && b_unsigned
                                ? MLS__FN(mls__dot_lanes)(kind, half_register, acc[m][v], bv[v], av)
                                : MLS__FN(mls__dot_lanes)(kind, half_register, acc[m][v], av,
                                                          bv[v]);
                    }
                }
                MLS__UNROLL
                for (int i = 0; i < (mr + 2) / 3; i++) a[i] += a_word;
                b += b_word;
            }
        }
    }
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        if ((size_t)m < d->count) MLS__FN(mls__put)(kind, parts, d, (size_t)m, acc[m]);
    }
}

/* Tiles (rows, blocks, half) of this unit: at most those of mls__kernels. Half a block is worth its
   code from MLS__TALL rows on. */
/* clang-format off */
#if MLS__LANES == 16
#define MLS__TALL(nb) ((nb) == 2 ? 8 : 16)
#define MLS__TILES(X) \
    X(16, 1, 0) X(8, 1, 0) X(4, 1, 0) X(2, 1, 0) X(1, 1, 0) X(16, 1, 1) \
    X(8, 2, 0) X(7, 2, 0) X(4, 2, 0) X(2, 2, 0) X(1, 2, 0) X(8, 2, 1) \
    X(8, 3, 0) X(4, 3, 0) X(2, 3, 0) X(1, 3, 0)
#elif MLS__UNIT == MLS__ISA_SSE41
#define MLS__TALL(nb) 2
#define MLS__TILES(X) X(2, 1, 0) X(1, 1, 0) X(2, 1, 1)
#else
#define MLS__TALL(nb) 4
#define MLS__TILES(X) X(4, 1, 0) X(2, 1, 0) X(1, 1, 0) X(4, 1, 1)
#endif
/* clang-format on */

#define MLS__TILE_CASE(m, n, half)                    \
    case m * 8 + n * 2 + half:                        \
        MLS__FN(mls__tile)(MLS__KIND, m, n, half, d); \
        break;
static MLS__TARGET void MLS__FN(mls__dot_s8)(int tile, const mls__dot *d)
{
#define MLS__KIND MLS__S8
    switch (tile) {
        MLS__TILES(MLS__TILE_CASE)
    }
#undef MLS__KIND
}
static MLS__TARGET void MLS__FN(mls__dot_s16)(int tile, const mls__dot *d)
{
#define MLS__KIND MLS__S16
    switch (tile) {
        MLS__TILES(MLS__TILE_CASE)
    }
#undef MLS__KIND
}
#if !MLS__NEON || defined(__aarch64__)
static MLS__TARGET void MLS__FN(mls__dot_f32)(int tile, const mls__dot *d)
{
#define MLS__KIND MLS__F32
    switch (tile) {
        MLS__TILES(MLS__TILE_CASE)
    }
#undef MLS__KIND
}
#endif
#undef MLS__TILE_CASE
#undef MLS__TILES

static void MLS__FN(mls__dot)(int kind, int mr, int nb, const mls__dot *d)
{
    const int half = mr >= MLS__TALL(nb) && (int)d->lanes <= nb * MLS__LANE - MLS__LANE / 2;
    const int tile = mr * 8 + nb * 2 + half;
    if (kind == MLS__S16) MLS__FN(mls__dot_s16)(tile, d);
    if (kind == MLS__S8) MLS__FN(mls__dot_s8)(tile, d);
#if MLS__NEON && !defined(__aarch64__) /* there NEON flushes denormals; PUT_FLOATS has none */
    for (size_t m = 0; kind == MLS__F32 && m < d->count; m++) { /* plain C has tiles of one row */
        mls__dot row = *d;
        row.a += m * d->a_m;
        if (row.init) row.init += m * d->init_step;
        if (row.c) row.c += m * d->c_step;
        if (row.out) row.out += m * d->out_step;
        mls__dot_scalar(kind, 1, 1, &row);
    }
#else
    if (kind == MLS__F32) MLS__FN(mls__dot_f32)(tile, d);
#endif
}
#undef MLS__TALL

/* acc + the products of the words of every lane; a is the unsigned operand where there is one. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__dot_words)(int kind, MLS__I acc, const uint8_t *a,
                                                       const uint8_t *b)
{
    return MLS__FN(mls__dot_lanes)(kind, 0, acc, MLS__BITS(MLS__LOAD(a)), MLS__BITS(MLS__LOAD(b)));
}

/* Outputs side by side where lanes are channels, of one vector of them. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__lanes_tile)(int kind, int mr, const mls__dot *d)
{
    MLS__I acc[8];
    const size_t step = d->a_m, a_word = d->a_word, b_word = d->b_word, words = d->words;
    MLS__UNROLL
    for (int m = 0; m < mr; m++) {
        acc[m] = MLS__SETI(0);
        if (d->init) acc[m] = MLS__BITS(MLS__LOAD(d->init));
    }
    for (size_t row = 0; row < d->rows; row++) {
        const uint8_t *a = d->a + row * d->a_row, *b = d->b + row * d->b_row;
        for (size_t word = 0; word < words; word++, a += a_word, b += b_word) {
            const MLS__I bv = MLS__BITS(MLS__LOAD(b));
            MLS__UNROLL
            for (int m = 0; m < mr; m++) {
                MLS__I av = MLS__BITS(MLS__LOAD(a + (size_t)m * step));
                acc[m] = MLS__FN(mls__dot_lanes)(kind, 0, acc[m], av, bv);
            }
        }
    }
    MLS__UNROLL
    for (int m = 0; m < mr; m++) MLS__FN(mls__put)(kind, 1, d, (size_t)m, &acc[m]);
}

MLS__INLINE MLS__TARGET void MLS__FN(mls__lanes_all)(int kind, const mls__dot *d)
{
    for (size_t lane = 0; lane < d->lanes; lane += MLS__LANES) {
        mls__dot t = *d;
        t.a += lane * MLS__WORD, t.b += lane * MLS__WORD, t.lanes -= lane;
        if (t.init) t.init += lane;
        if (t.c) t.c += lane;
        if (t.out) t.out += lane;
        while (t.count) {
            size_t mr = t.count >= 8 ? 8 : t.count >= 4 ? 4 : t.count >= 2 ? 2 : 1;
            if (mr == 8) MLS__FN(mls__lanes_tile)(kind, 8, &t);
            if (mr == 4) MLS__FN(mls__lanes_tile)(kind, 4, &t);
            if (mr == 2) MLS__FN(mls__lanes_tile)(kind, 2, &t);
            if (mr == 1) MLS__FN(mls__lanes_tile)(kind, 1, &t);
            t.a += mr * d->a_m, t.count -= mr;
            if (t.c) t.c += mr * d->c_step;
            if (t.out) t.out += mr * d->out_step;
        }
    }
}

/* ny times nx taps of one vector of lanes. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__cross_tile)(int kind, int ny, int nx, const mls__cross *x)
{
    MLS__I acc[3][3];
    const size_t a_y = x->a_y, a_x = x->a_x, e_x = x->e_x, a_word = x->a_word, e_word = x->e_word;
    MLS__UNROLL
    for (int i = 0; i < ny * nx; i++) {
        acc[i / nx][i % nx] = MLS__BITS(
            MLS__LOAD(x->sum + (size_t)(i / nx) * x->sum_y + (size_t)(i % nx) * x->sum_x));
    }
    for (size_t row = 0; row < x->rows; row++) {
        const uint8_t *a = x->a + row * x->a_row, *e = x->e + row * x->e_row;
        for (size_t word = x->words; word > 0; word--, a += a_word, e += e_word) {
            MLS__UNROLL
            for (int i = 0; i < ny * nx; i++) {
                const size_t ky = (size_t)(i / nx), kx = (size_t)(i % nx);
                const uint8_t *av = a + ky * a_y + (kind == MLS__F32 ? kx * a_x : 0);
                const uint8_t *ev = e + (kind == MLS__F32 ? 0 : kx * e_x);
                acc[i / nx][i % nx] = MLS__FN(mls__dot_words)(kind, acc[i / nx][i % nx], av, ev);
            }
        }
    }
    MLS__UNROLL
    for (int i = 0; i < ny * nx; i++) {
        int32_t *to = x->sum + (size_t)(i / nx) * x->sum_y + (size_t)(i % nx) * x->sum_x;
        MLS__STORE(to, MLS__FLOAT(acc[i / nx][i % nx]));
    }
}

MLS__INLINE MLS__TARGET void MLS__FN(mls__cross_all)(int kind, const mls__cross *x)
{
    for (size_t lane = 0; lane < x->lanes; lane += MLS__LANES) {
        size_t ny = 0, nx = 0;
        for (size_t ky = 0; ky < x->taps_y; ky += ny)
            for (size_t kx = 0; kx < x->taps_x; kx += nx) {
                mls__cross t = *x;
                ny = x->taps_y - ky >= 3 ? 3 : 1, nx = x->taps_x - kx >= 3 ? 3 : 1;
                t.a += ky * x->a_y + kx * x->a_x + lane * x->a_lane;
                t.e += kx * x->e_x + lane * MLS__WORD;
                t.sum += ky * x->sum_y + kx * x->sum_x + lane;
                if (ny == 3 && nx == 3) MLS__FN(mls__cross_tile)(kind, 3, 3, &t);
                if (ny == 3 && nx == 1) MLS__FN(mls__cross_tile)(kind, 3, 1, &t);
                if (ny == 1 && nx == 3) MLS__FN(mls__cross_tile)(kind, 1, 3, &t);
                if (ny == 1 && nx == 1) MLS__FN(mls__cross_tile)(kind, 1, 1, &t);
            }
    }
}

/* name_all for each kind of words; on 32-bit NEON, which flushes denormals, floats in plain C. */
#if MLS__NEON && !defined(__aarch64__)
#define MLS__FLOATS(name, type)                    \
    static void MLS__FN(name##_f32)(const type *x) \
    {                                              \
        name##_scalar(MLS__F32, x);                \
    }
#else
#define MLS__FLOATS(name, type) MLS__WORDS(name, type, _f32, MLS__F32)
#endif
#define MLS__WORDS(name, type, of, kind)                     \
    static MLS__TARGET void MLS__FN(name##of)(const type *x) \
    {                                                        \
        MLS__FN(name##_all)(kind, x);                        \
    }
#define MLS__OF_KINDS(name, type)                      \
    MLS__WORDS(name, type, _s8, MLS__S8)               \
    MLS__WORDS(name, type, _s16, MLS__S16)             \
    MLS__FLOATS(name, type)                            \
    static void MLS__FN(name)(int kind, const type *x) \
    {                                                  \
        if (kind == MLS__S8) MLS__FN(name##_s8)(x);    \
        if (kind == MLS__S16) MLS__FN(name##_s16)(x);  \
        if (kind == MLS__F32) MLS__FN(name##_f32)(x);  \
    }
MLS__OF_KINDS(mls__lanes, mls__dot)
MLS__OF_KINDS(mls__cross, mls__cross)
#undef MLS__OF_KINDS
#undef MLS__WORDS
#undef MLS__FLOATS

/* What needs no dot product is there once for all units with these vectors. */
#if MLS__UNIT != MLS__ISA_AVXVNNI && MLS__UNIT != MLS__ISA_DOTPROD
static MLS__TARGET void MLS__FN(mls__add_sums)(int64_t *sum, const int32_t *c32, const int64_t *c64,
                                               int64_t constant, size_t count)
{
    size_t i = 0;
    for (; i + MLS__LANES / 2 <= count; i += MLS__LANES / 2) {
        MLS__FN(mls__i64) v, w;
        MLS__FN(mls__half32) half;
        memcpy(&v, sum + i, sizeof v);
        v += constant;
        if (c32) memcpy(&half, c32 + i, sizeof half);
        if (c32) v += MLS__FN(mls__widen)(half);
        if (c64) memcpy(&w, c64 + i, sizeof w);
        if (c64) v += w;
        memcpy(sum + i, &v, sizeof v);
    }
    mls__add_sums_scalar(sum + i, c32 ? c32 + i : 0, c64 ? c64 + i : 0, constant, count - i);
}

static MLS__TARGET void MLS__FN(mls__add_floats)(float *sum, const float *part, size_t count)
{
    size_t i = 0;
#if !MLS__NEON || defined(__aarch64__) /* 32-bit NEON flushes denormals */
    for (; i + MLS__LANES <= count; i += MLS__LANES) {
        MLS__STORE(sum + i, MLS__LOAD(sum + i) + MLS__LOAD(part + i));
    }
#endif
    mls__add_floats_scalar(sum + i, part + i, count - i);
}

static MLS__TARGET void MLS__FN(mls__emit)(const int64_t *sum, size_t count, const float *factors,
                                           float *out)
{
    size_t i = 0;
#if !MLS__NEON || defined(__aarch64__) /* 32-bit NEON flushes denormals */
    typedef float half __attribute__((vector_size(2 * MLS__LANES)));
    for (; i + MLS__LANES / 2 <= count; i += MLS__LANES / 2) {
        MLS__FN(mls__i64) v;
        half z;
        memcpy(&v, sum + i, sizeof v);
#if MLS__LANES == 16
        z = (half)_mm512_maskz_cvtepi64_ps(255, (__m512i)v);
#else
        z = __builtin_convertvector(v, half);
#endif
        z = ((z * factors[0]) * factors[1]) * factors[2];
        memcpy(out + i, &z, sizeof z);
    }
#endif
    mls__emit_scalar(sum + i, count - i, factors, out + i);
}

static MLS__TARGET void MLS__FN(mls__next_pixel)(const uint8_t *from, uint8_t *to, size_t step,
                                                 size_t steps, size_t count, int shift)
{
    for (size_t j = 0; j < steps; j++, from += step, to += step) {
        size_t i = 0;
        for (; i + MLS__LANES <= count; i += MLS__LANES) {
            MLS__FN(mls__u32) now, then;
            memcpy(&now, from + i * MLS__WORD, sizeof now);
            memcpy(&then, from + step + i * MLS__WORD, sizeof then);
            if (shift) now = now >> shift | then << (32 - shift);
            memcpy(to + i * MLS__WORD, &now, sizeof now);
        }
        mls__next_pixel_scalar(from + i * MLS__WORD, to + i * MLS__WORD, step, 1, count - i, shift);
    }
}

typedef uint8_t MLS__FN(mls__bytes) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint16_t MLS__FN(mls__words) __attribute__((vector_size(4 * MLS__LANES)));
typedef uint8_t MLS__FN(mls__half8) __attribute__((vector_size(2 * MLS__LANES)));
typedef int8_t MLS__FN(mls__some8) __attribute__((vector_size(2 * MLS__LANES)));
typedef int16_t MLS__FN(mls__some16) __attribute__((vector_size(4 * MLS__LANES)));
typedef int16_t MLS__FN(mls__s16) __attribute__((vector_size(2 * MLS__LANES)));

/* Byte i of the result is table[code[i]]; codes are below 16. */
MLS__INLINE MLS__TARGET MLS__FN(mls__bytes)
    MLS__FN(mls__lookup)(MLS__FN(mls__bytes) table, MLS__FN(mls__bytes) code)
{
#if MLS__LANES == 16
    return (MLS__FN(mls__bytes))_mm512_shuffle_epi8((__m512i)table, (__m512i)code);
#elif MLS__LANES == 8
    return (MLS__FN(mls__bytes))_mm256_shuffle_epi8((__m256i)table, (__m256i)code);
#elif MLS__NEON && defined(__aarch64__)
    return (MLS__FN(mls__bytes))vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)code);
#elif MLS__NEON
    uint8x8x2_t halves;
    halves.val[0] = vget_low_u8((uint8x16_t)table), halves.val[1] = vget_high_u8((uint8x16_t)table);
    return (MLS__FN(mls__bytes))vcombine_u8(vtbl2_u8(halves, vget_low_u8((uint8x16_t)code)),
                                            vtbl2_u8(halves, vget_high_u8((uint8x16_t)code)));
#else
    return (MLS__FN(mls__bytes))_mm_shuffle_epi8((__m128i)table, (__m128i)code);
#endif
}

/* Codes of up to 4 bits become integers by a table. Returns how many elements it did. */
MLS__INLINE MLS__TARGET size_t MLS__FN(mls__fold_nibbles)(const mls__fold *f, size_t first,
                                                          size_t count, size_t *channel,
                                                          size_t size, uint8_t *to)
{
    enum {
        MLS__STEP = 4 * MLS__LANES
    }; /* at most MLS__AHEAD */
    int8_t values[MLS__STEP];
    size_t i = 0, ch = *channel, channels = f->channels;
    MLS__FN(mls__bytes) table;
    int codes = 2 << (f->format.ex + f->format.mx);
    for (int j = 0; j < MLS__STEP; j++) {
        values[j] = (int8_t)mls__grid_signed(f->format, (uint32_t)(j % 16 % codes));
    }
    memcpy(&table, values, sizeof table);
    for (; i + MLS__STEP <= count; i += MLS__STEP) {
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
            memcpy(&by, f->multiplier + ch + j * (MLS__STEP / 2), sizeof by);
            wide = __builtin_convertvector(half, MLS__FN(mls__some16)) * by;
            if (size == 1) {
                half = __builtin_convertvector(wide ^ (int16_t)f->flip, MLS__FN(mls__some8));
                memcpy(to + i + j * sizeof half, &half, sizeof half);
            } else {
                memcpy(to + 2 * i + j * sizeof wide, &wide, sizeof wide);
            }
        }
        ch += MLS__STEP;
        if (ch >= channels) ch = ch < 2 * channels ? ch - channels : ch % channels;
    }
    *channel = ch;
    return i;
}

static MLS__TARGET void MLS__FN(mls__fold)(const mls__fold *f, size_t first, size_t count,
                                           size_t ch, size_t size, uint8_t *to)
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
    mls__fold_scalar(f, first + i, count - i, ch, size, to + i * size);
}

/* 16 bytes, whatever the vector length, and two of them zipped by bytes or by pairs of bytes. */
typedef uint8_t MLS__FN(mls__b16) __attribute__((vector_size(16)));
typedef uint16_t MLS__FN(mls__h8) __attribute__((vector_size(16)));
#if defined(__clang__)
#define MLS__SHUFFLE(type, to, a, b, ...) type to = __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MLS__SHUFFLE(type, to, a, b, ...)  \
    const type to##_order = {__VA_ARGS__}; \
    type to = __builtin_shuffle(a, b, to##_order)
#endif
MLS__INLINE MLS__TARGET void MLS__FN(mls__zip8)(MLS__FN(mls__b16) a, MLS__FN(mls__b16) b,
                                                MLS__FN(mls__h8) * to)
{
    MLS__SHUFFLE(MLS__FN(mls__b16), low, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                 23);
    MLS__SHUFFLE(MLS__FN(mls__b16), high, a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                 30, 15, 31);
    memcpy(&to[0], &low, 16);
    memcpy(&to[1], &high, 16);
}
MLS__INLINE MLS__TARGET void MLS__FN(mls__zip16)(MLS__FN(mls__h8) a, MLS__FN(mls__h8) b,
                                                 uint16_t flip, uint8_t *to)
{
    MLS__SHUFFLE(MLS__FN(mls__h8), low, a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    MLS__SHUFFLE(MLS__FN(mls__h8), high, a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    low = low ^ flip, high = high ^ flip;
    memcpy(to, &low, 16);
    memcpy(to + 16, &high, 16);
}
#undef MLS__SHUFFLE

/* 16 words of 4 pixels (or 2 of int16) that lie pixel bytes apart. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__words16)(const uint8_t *from, size_t pixel, int size,
                                                   uint32_t flip, uint8_t *to)
{
#if MLS__LANES == 16
    __m512i v;
    if (size == 1) {
        const __m512i dwords =
            _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        const __m512i bytes = _mm512_maskz_broadcast_i32x4(
            MLS__ALL16, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
        v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)from));
        v = _mm512_maskz_inserti32x4(
            MLS__ALL16, v, _mm_loadu_si128((const __m128i *)(const void *)(from + pixel)), 1);
        v = _mm512_maskz_inserti32x4(
            MLS__ALL16, v, _mm_loadu_si128((const __m128i *)(const void *)(from + 2 * pixel)), 2);
        v = _mm512_maskz_inserti32x4(
            MLS__ALL16, v, _mm_loadu_si128((const __m128i *)(const void *)(from + 3 * pixel)), 3);
        v = _mm512_maskz_permutexvar_epi32(MLS__ALL16, dwords, v);
        v = _mm512_shuffle_epi8(v, bytes);
    } else {
        const __m512i words =
            _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                             22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        v = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)from));
        v = _mm512_maskz_inserti64x4(
            255, v, _mm256_loadu_si256((const __m256i *)(const void *)(from + pixel)), 1);
        v = _mm512_permutexvar_epi16(words, v);
    }
    v = _mm512_xor_si512(v, _mm512_set1_epi32((int32_t)flip));
    memcpy(to, &v, sizeof v);
#else
    MLS__FN(mls__h8) a[2], b[2];
    if (size == 1) {
        MLS__FN(mls__b16) p[4];
        for (int j = 0; j < 4; j++) memcpy(&p[j], from + (size_t)j * pixel, 16);
        MLS__FN(mls__zip8)(p[0], p[1], a);
        MLS__FN(mls__zip8)(p[2], p[3], b);
    } else {
        memcpy(a, from, 32), memcpy(b, from + pixel, 32);
    }
    MLS__FN(mls__zip16)(a[0], b[0], (uint16_t)flip, to);
    MLS__FN(mls__zip16)(a[1], b[1], (uint16_t)flip, to + 32);
#endif
}

static MLS__TARGET void MLS__FN(mls__interleave)(const mls__mix_pixels *x)
{
    size_t size = x->size, each = MLS__WORD / size, i = 0;
    size_t full = x->pixels / each < x->steps ? x->pixels / each : x->steps;
    for (; i + MLS__LANE <= x->count; i += MLS__LANE) {
        const uint8_t *from = x->from + i * size;
        uint8_t *to = x->to + i / MLS__LANE * x->to_block;
        if (size == 1) {
            for (size_t step = 0; step < full; step++, from += 4 * x->pixel, to += x->to_step) {
                MLS__FN(mls__words16)(from, x->pixel, 1, x->flip, to);
            }
        } else {
            for (size_t step = 0; step < full; step++, from += 2 * x->pixel, to += x->to_step) {
                MLS__FN(mls__words16)(from, x->pixel, 2, x->flip, to);
            }
        }
    }
    for (size_t step = 0; i < x->count && step < full; step++) mls__mix_rest(x, step, i);
    for (size_t step = full; step < x->steps; step++) mls__mix_rest(x, step, 0);
}

static MLS__TARGET void MLS__FN(mls__split)(const int32_t *v, const int32_t *shift, size_t channels,
                                            size_t count, int bits, int16_t *low, int16_t *high)
{
    const int32_t round = 1 << bits >> 1;
    size_t ch = 0, i = 0;
    for (; i + MLS__LANES <= count; i += MLS__LANES) {
        MLS__FN(mls__s16) down, up;
        MLS__I x, by;
        memcpy(&x, v + i, sizeof x);
        memcpy(&by, shift + ch, sizeof by);
        x = x << by;
        by = (x + round) >> bits;
        down = __builtin_convertvector(x - (by << bits), MLS__FN(mls__s16));
        up = __builtin_convertvector(by, MLS__FN(mls__s16));
        memcpy(low + i, &down, sizeof down);
        memcpy(high + i, &up, sizeof up);
        ch += MLS__LANES;
        if (ch >= channels) ch = ch < 2 * channels ? ch - channels : ch % channels;
    }
    for (; i < count; i++) {
        int32_t x = v[i] * (1 << shift[ch]), up = (x + round) >> bits;
        high[i] = (int16_t)up, low[i] = (int16_t)(x - up * (1 << bits));
        if (++ch == channels) ch = 0;
    }
}
#endif

#else
/* Tiles of AMX: 16 rows of 64 bytes. Inline assembly, as compilers differ in what they believe the
   intrinsics to read and write. MLS_AMX_EMULATE runs the same code on tiles in memory, for CPUs that
   have none. */
#define MLS__TARGET_TILES \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,amx-tile,amx-int8")))

typedef struct mls__tile_shapes { /* what ldtilecfg reads */
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} mls__tile_shapes;

#ifdef MLS_AMX_EMULATE
static __thread struct {
    mls__tile_shapes shapes;
    int32_t tile[8][16][16];
} mls__amx;

static void mls__tile_shape(const mls__tile_shapes *t)
{
    memset(&mls__amx, 0, sizeof mls__amx);
    mls__amx.shapes = *t;
}
static void mls__tile_move(int t, void *p, ptrdiff_t step, int store)
{
    for (int row = 0; row < mls__amx.shapes.rows[t]; row++) {
        uint8_t *at = (uint8_t *)p + row * step;
        if (store) memcpy(at, mls__amx.tile[t][row], mls__amx.shapes.bytes[t]);
        if (!store) memset(mls__amx.tile[t][row], 0, 64);
        if (!store) memcpy(mls__amx.tile[t][row], at, mls__amx.shapes.bytes[t]);
    }
}
static void mls__tile_dot(int c, int a, int b, int a_signed, int b_signed)
{
    const mls__tile_shapes *t = &mls__amx.shapes;
    for (int m = 0; m < t->rows[c]; m++)
        for (int k = 0; k < t->bytes[a] / 4; k++)
            for (int n = 0; n < t->bytes[c] / 4; n++) {
                uint8_t x[4], y[4];
                memcpy(x, &mls__amx.tile[a][m][k], 4), memcpy(y, &mls__amx.tile[b][k][n], 4);
                for (int i = 0; i < 4; i++) {
                    int32_t product =
                        (a_signed ? (int8_t)x[i] : x[i]) * (b_signed ? (int8_t)y[i] : y[i]);
                    mls__amx.tile[c][m][n] =
                        (int32_t)((uint32_t)mls__amx.tile[c][m][n] + (uint32_t)product);
                }
            }
}
#define MLS__TILE_SHAPE(t)          mls__tile_shape(t)
#define MLS__TILE_ZERO(t)           memset(mls__amx.tile[t], 0, sizeof mls__amx.tile[t])
#define MLS__TILE_LOAD(t, p, step)  mls__tile_move(t, (void *)(uintptr_t)(p), (ptrdiff_t)(step), 0)
#define MLS__TILE_STORE(t, p, step) mls__tile_move(t, p, step, 1)
#define MLS__TILE_SS(c, a, b)       mls__tile_dot(c, a, b, 1, 1)
#define MLS__TILE_SU(c, a, b)       mls__tile_dot(c, a, b, 1, 0)
#define MLS__TILE_US(c, a, b)       mls__tile_dot(c, a, b, 0, 1)
#define MLS__TILE_UU(c, a, b)       mls__tile_dot(c, a, b, 0, 0)
#define MLS__TILE_RELEASE()         memset(&mls__amx, 0, sizeof mls__amx)
#else
/* clang-format off */
#define MLS__TILE_SHAPE(t) __asm__ volatile("ldtilecfg %0" : : "m"(*(t)))
#define MLS__TILE_ZERO(t)  __asm__ volatile("tilezero %%tmm" #t : :)
#define MLS__TILE_LOAD(t, p, step) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((ptrdiff_t)(step)) : "memory")
#define MLS__TILE_STORE(t, p, step) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((ptrdiff_t)(step)) : "memory")
/* signed or unsigned bytes of a, of b */
#define MLS__TILE_SS(c, a, b) __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MLS__TILE_SU(c, a, b) __asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MLS__TILE_US(c, a, b) __asm__ volatile("tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MLS__TILE_UU(c, a, b) __asm__ volatile("tdpbuud %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MLS__TILE_RELEASE()   __asm__ volatile("tilerelease" : :)
/* clang-format on */
#endif

enum {
    MLS__TILE_BYTES = 1024
};

/* Rows of the tiles in this thread; 0: none are set up. */
static __thread int mls__tiles_shaped;

static MLS__TARGET_TILES void mls__tiles_release(void)
{
    if (mls__tiles_shaped) MLS__TILE_RELEASE();
    mls__tiles_shaped = 0;
}

/* 0 to 3: sums, 4 and 5: a, all of so many rows; 6 and 7: b, 16 words. */
static MLS__TARGET_TILES void mls__tiles_shape(int rows)
{
    mls__tile_shapes t;
    if (mls__tiles_shaped == rows) return;
    memset(&t, 0, sizeof t);
    t.palette = 1;
    for (int i = 0; i < 8; i++) t.rows[i] = (uint8_t)(i < 6 ? rows : 16), t.bytes[i] = 64;
    MLS__TILE_SHAPE(&t);
    mls__tiles_shaped = rows;
}

/* Tiles whose sums are done. They become floats row by row while the next ones are summed: stores in
   one burst would stall, and every load behind them that is the same modulo 4096. */
typedef struct mls__tiles_done {
    __attribute__((aligned(64))) int32_t sums[4 * 256]; /* [tile][block][row][16] */
    const int32_t *from;
    float *to, *next;      /* of the second tile */
    int32_t col, next_col; /* on the line */
    int32_t left;          /* rows of both */
    int32_t nb, lanes;     /* blocks, lanes that exist */
} mls__tiles_done;

/* 16 sums of 64 bits, scaled. */
MLS__INLINE MLS__TARGET MLS__F mls__tiles_float64(const MLS__FN(mls__i64) * v, const float *factors)
{
    __m256 low = _mm512_maskz_cvtepi64_ps(255, (__m512i)v[0]);
    __m256 high = _mm512_maskz_cvtepi64_ps(255, (__m512i)v[1]);
    MLS__F z = (MLS__F)_mm512_maskz_insertf32x8(MLS__ALL16, _mm512_castps256_ps512(low), high, 1);
    return ((z * factors[0]) * factors[1]) * factors[2];
}

/* low + middle * 256 + high * 65536 in 64 bits. */
MLS__INLINE MLS__TARGET void mls__tiles_join(const int32_t *sums, MLS__FN(mls__i64) * v)
{
    for (int i = 0; i < 2; i++) {
        MLS__FN(mls__half32) part[3];
        for (int j = 0; j < 3; j++) memcpy(&part[j], sums + j * 256 + i * 8, sizeof part[j]);
        v[i] = MLS__FN(mls__widen)(part[0]) + MLS__FN(mls__widen)(part[1]) * 256 +
               MLS__FN(mls__widen)(part[2]) * 65536;
    }
}

/* 16 sums to floats; wide: of 16-bit integers, in three parts. */
MLS__INLINE MLS__TARGET void mls__tiles_floats(const mls__area *x, int wide, const int32_t *sums,
                                               int32_t lanes, float *out)
{
    const float scale = x->scale;
    MLS__I v = MLS__BITS(MLS__LOAD(sums));
    MLS__F z;
    if (wide && scale > 0) {
        v = MLS__FN(mls__addi)(v, MLS__BITS(MLS__LOAD(sums + 256)) << 8);
        v = MLS__FN(mls__addi)(v, MLS__BITS(MLS__LOAD(sums + 512)) << 16);
    }
    z = MLS__TO_FLOAT(v);
    if (scale > 0) {
        z = z * scale;
    } else if (wide) {
        MLS__FN(mls__i64) w[2];
        mls__tiles_join(sums, w);
        z = mls__tiles_float64(w, x->factors);
    } else {
        z = ((z * x->factors[0]) * x->factors[1]) * x->factors[2];
    }
    if (lanes >= MLS__LANES)
        MLS__STORE(out, z);
    else
        MLS__FN(mls__store_part)(out, z, lanes);
}

/* Some more rows of them, m of which are a tile. */
MLS__INLINE MLS__TARGET void mls__tiles_rows(const mls__area *x, int wide, mls__tiles_done *d,
                                             int32_t m, int32_t count)
{
    const size_t step = x->out_x;
    const int plain = !wide && x->scale > 0 && d->lanes >= d->nb * MLS__LANE;
    const MLS__F scale = MLS__SET(x->scale);
    if (count > d->left) count = d->left;
    while (count > 0) {
        const int32_t *from = d->from;
        float *to = d->to;
        int32_t tile = d->left > m ? d->left - m : d->left,
                end = d->col < x->run ? x->run : x->pitch;
        int32_t part = tile < count ? tile : count, skip = d->col >= x->run;
        if (part > end - d->col) part = end - d->col;
        d->left -= part, count -= part, d->from += part * 16, d->col += part;
        if (!skip) d->to += (size_t)part * step;
        if (d->col == x->run) d->to += (ptrdiff_t)x->out_y - (ptrdiff_t)((size_t)x->run * step);
        if (d->col == x->pitch) d->col = 0;
        if (d->left == m) d->from = d->sums + 512, d->to = d->next, d->col = d->next_col;
        if (skip) continue;
        if (plain && d->nb == 1) {
            for (; part > 0; part--, from += 16, to += step) {
                MLS__STORE(to, MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(from))) * scale);
            }
        } else if (plain) {
            for (; part > 0; part--, from += 16, to += step) {
                MLS__STORE(to, MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(from))) * scale);
                MLS__STORE(to + 16, MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(from + 256))) * scale);
            }
        }
        for (; part > 0; part--, from += 16, to += step) {
            mls__tiles_floats(x, wide, from, d->lanes, to);
            if (d->nb > 1) mls__tiles_floats(x, wide, from + 256, d->lanes - MLS__LANE, to + 16);
        }
    }
}

/* Rows for every step of the next sums. */
MLS__INLINE int32_t mls__tiles_share(const mls__area *x, const mls__tiles_done *before)
{
    int32_t steps = x->rows * (x->words / MLS__TILE_WORDS);
    return (before->left + steps - 1) / steps;
}

/* Sums of na tiles of m outputs times nb blocks, of bytes. */
MLS__INLINE MLS__TARGET_TILES void mls__tiles_sum8(int na, int nb, const mls__area *x,
                                                   const uint8_t *a0, const uint8_t *a1,
                                                   const uint8_t *b, int32_t m,
                                                   mls__tiles_done *before, mls__tiles_done *now)
{
    const ptrdiff_t step = x->a_x, a_row = x->a_row, b_block = x->b_block, b_row = x->b_row;
    const int32_t words = x->words, some = mls__tiles_share(x, before);
    MLS__TILE_ZERO(0);
    if (nb > 1) MLS__TILE_ZERO(1);
    if (na > 1) MLS__TILE_ZERO(2);
    if (na > 1 && nb > 1) MLS__TILE_ZERO(3);
    for (int32_t row = x->rows; row > 0; row--, a0 += a_row, a1 += a_row, b += b_row) {
        const uint8_t *a0_at = a0, *a1_at = a1, *b_at = b;
        for (int32_t word = words; word > 0; word -= 16, a0_at += 64, a1_at += 64, b_at += 1024) {
            MLS__TILE_LOAD(6, b_at, 64);
            MLS__TILE_LOAD(4, a0_at, step);
            MLS__TILE_SS(0, 4, 6);
            if (nb > 1) MLS__TILE_LOAD(7, b_at + b_block, 64);
            if (nb > 1) MLS__TILE_SS(1, 4, 7);
            if (na > 1) MLS__TILE_LOAD(5, a1_at, step);
            if (na > 1) MLS__TILE_SS(2, 5, 6);
            if (na > 1 && nb > 1) MLS__TILE_SS(3, 5, 7);
            mls__tiles_rows(x, 0, before, m, some);
        }
    }
    MLS__TILE_STORE(0, now->sums, 64);
    if (nb > 1) MLS__TILE_STORE(1, now->sums + 256, 64);
    if (na > 1) MLS__TILE_STORE(2, now->sums + 512, 64);
    if (na > 1 && nb > 1) MLS__TILE_STORE(3, now->sums + 768, 64);
}

#define MLS__TILES_SUM(na, nb)                                                                 \
    static MLS__TARGET_TILES void mls__tiles_sum8_##na##nb(                                    \
        const mls__area *x, const uint8_t *a0, const uint8_t *a1, const uint8_t *b, int32_t m, \
        mls__tiles_done *before, mls__tiles_done *now)                                         \
    {                                                                                          \
        mls__tiles_sum8(na, nb, x, a0, a1, b, m, before, now);                                 \
    }
MLS__TILES_SUM(1, 1)
MLS__TILES_SUM(1, 2)
MLS__TILES_SUM(2, 1)
MLS__TILES_SUM(2, 2)
#undef MLS__TILES_SUM

/* Of one tile and one block of 16-bit integers: low low, low high + high low, high high. */
static MLS__TARGET_TILES void mls__tiles_sum16(const mls__area *x, const uint8_t *a,
                                               const uint8_t *b, int32_t m, mls__tiles_done *before,
                                               mls__tiles_done *now)
{
    const ptrdiff_t step = x->a_x, a_row = x->a_row, b_row = x->b_row;
    const ptrdiff_t a_high = x->a_plane, b_high = x->b_plane;
    const int32_t words = x->words, some = mls__tiles_share(x, before);
    MLS__TILE_ZERO(0);
    MLS__TILE_ZERO(1);
    MLS__TILE_ZERO(2);
    for (int32_t row = x->rows; row > 0; row--, a += a_row, b += b_row) {
        const uint8_t *a_at = a, *b_at = b;
        for (int32_t word = words; word > 0; word -= 16, a_at += 64, b_at += 1024) {
            MLS__TILE_LOAD(4, a_at, step);
            MLS__TILE_LOAD(6, b_at, 64);
            MLS__TILE_UU(0, 4, 6);
            MLS__TILE_LOAD(7, b_at + b_high, 64);
            MLS__TILE_US(1, 4, 7);
            MLS__TILE_LOAD(5, a_at + a_high, step);
            MLS__TILE_SS(2, 5, 7);
            MLS__TILE_SU(1, 5, 6);
            mls__tiles_rows(x, 1, before, m, some);
        }
    }
    MLS__TILE_STORE(0, now->sums, 64);
    MLS__TILE_STORE(1, now->sums + 256, 64);
    MLS__TILE_STORE(2, now->sums + 512, 64);
}

/* Short lines are one long line, with outputs between them that nobody asks for, where that takes
   less time; a tile takes about as much as 11 rows more. */
static void mls__tiles_line(mls__area *x)
{
    int32_t pitch = (int32_t)(x->a_y / x->a_x), across = (x->w + 15) / 16;
    int64_t line = (int64_t)(x->h - 1) * pitch + x->w, m = (x->w + across - 1) / across;
    x->run = x->pitch = INT32_MAX;
    if (x->a_y % x->a_x == 0 && line <= INT32_MAX &&
        (line + 15) / 16 * (16 + 11) < (int64_t)x->h * across * (m + 11)) {
        x->run = x->w, x->pitch = pitch, x->w = (int32_t)line, x->h = 1;
    }
}

static MLS__TARGET_TILES void mls__tiles_area(const mls__area *area)
{
    mls__area line = *area;
    const mls__area *x = &line;
    mls__tiles_done *done = (mls__tiles_done *)(void *)area->room;
    int32_t across, m, na, at = 0, y = 0, turn = 0, wide = area->a_plane != 0;
    int64_t count;
    mls__tiles_line(&line);
    /* tiles across a line; the last one begins where all of it is inside */
    across = (x->w + 15) / 16, m = (x->w + across - 1) / across;
    count = (int64_t)x->h * across;
    done[1].left = done[1].nb = done[1].lanes = 0;
    mls__tiles_shape(m);
    for (int64_t i = 0; i < count; i += na) {
        const uint8_t *a[2];
        float *out[2];
        int32_t nb, col[2];
        na = count - i > 1 && !wide ? 2 : 1;
        for (int32_t j = 0; j < na; j++) {
            int32_t left = at + m < x->w ? at : x->w - m, row = y + left / x->pitch;
            col[j] = left % x->pitch;
            a[j] = x->a + y * x->a_y + left * x->a_x;
            out[j] = x->out + (size_t)(col[j] < x->run ? row : row + 1) * x->out_y +
                     (size_t)(col[j] < x->run ? col[j] : 0) * x->out_x;
            at += m;
            if (at >= x->w) at = 0, y++;
        }
        if (na == 1) a[1] = a[0], out[1] = out[0], col[1] = col[0];
        for (int32_t lane = 0; lane < x->lanes; lane += nb * MLS__LANE, turn = !turn) {
            const uint8_t *b = x->b + lane / MLS__LANE * x->b_block;
            mls__tiles_done *now = &done[turn];
            mls__tiles_done *before = &done[!turn];
            nb = x->lanes - lane > MLS__LANE && !wide ? 2 : 1;
            now->from = now->sums, now->to = out[0] + lane, now->next = out[1] + lane;
            now->col = col[0], now->next_col = col[1];
            now->left = na * m, now->nb = nb, now->lanes = x->lanes - lane;
            if (wide)
                mls__tiles_sum16(x, a[0], b, m, before, now);
            else if (na == 2 && nb == 2)
                mls__tiles_sum8_22(x, a[0], a[1], b, m, before, now);
            else if (na == 2)
                mls__tiles_sum8_21(x, a[0], a[1], b, m, before, now);
            else if (nb == 2)
                mls__tiles_sum8_12(x, a[0], a[1], b, m, before, now);
            else
                mls__tiles_sum8_11(x, a[0], a[1], b, m, before, now);
        }
    }
    if (wide)
        mls__tiles_rows(x, 1, &done[!turn], m, INT32_MAX);
    else
        mls__tiles_rows(x, 0, &done[!turn], m, INT32_MAX);
}

/* Sums of na taps of a block of a times nb blocks of b. */
MLS__INLINE MLS__TARGET_TILES void mls__tiles_strip8(int na, int nb, const mls__strip *x,
                                                     const uint8_t *a0, const uint8_t *a1,
                                                     const uint8_t *b, int32_t words, int fresh,
                                                     int32_t *c0, int32_t *c1)
{
    const size_t step = x->a_channel, b_block = x->b_block;
    if (fresh) {
        MLS__TILE_ZERO(0);
        if (nb > 1) MLS__TILE_ZERO(1);
        if (na > 1) MLS__TILE_ZERO(2);
        if (na > 1 && nb > 1) MLS__TILE_ZERO(3);
    } else {
        MLS__TILE_LOAD(0, c0, 64);
        if (nb > 1) MLS__TILE_LOAD(1, c0 + 256, 64);
        if (na > 1) MLS__TILE_LOAD(2, c1, 64);
        if (na > 1 && nb > 1) MLS__TILE_LOAD(3, c1 + 256, 64);
    }
    for (; words > 0; words -= 16, a0 += 64, a1 += 64, b += 1024) {
        MLS__TILE_LOAD(6, b, 64);
        MLS__TILE_LOAD(4, a0, step);
        MLS__TILE_SS(0, 4, 6);
        if (nb > 1) MLS__TILE_LOAD(7, b + b_block, 64);
        if (nb > 1) MLS__TILE_SS(1, 4, 7);
        if (na > 1) MLS__TILE_LOAD(5, a1, step);
        if (na > 1) MLS__TILE_SS(2, 5, 6);
        if (na > 1 && nb > 1) MLS__TILE_SS(3, 5, 7);
    }
    MLS__TILE_STORE(0, c0, 64);
    if (nb > 1) MLS__TILE_STORE(1, c0 + 256, 64);
    if (na > 1) MLS__TILE_STORE(2, c1, 64);
    if (na > 1 && nb > 1) MLS__TILE_STORE(3, c1 + 256, 64);
}

static MLS__TARGET_TILES void mls__tiles_strip16(const mls__strip *x, const uint8_t *a,
                                                 const uint8_t *b, int32_t words, int64_t *c)
{
    __attribute__((aligned(64))) int32_t sums[3 * 256];
    const size_t step = x->a_channel, a_high = x->a_plane, b_high = x->b_plane;
    MLS__TILE_ZERO(0);
    MLS__TILE_ZERO(1);
    MLS__TILE_ZERO(2);
    for (; words > 0; words -= 16, a += 64, b += 1024) {
        MLS__TILE_LOAD(4, a, step);
        MLS__TILE_LOAD(6, b, 64);
        MLS__TILE_UU(0, 4, 6);
        MLS__TILE_LOAD(7, b + b_high, 64);
        MLS__TILE_US(1, 4, 7);
        MLS__TILE_LOAD(5, a + a_high, step);
        MLS__TILE_SS(2, 5, 7);
        MLS__TILE_SU(1, 5, 6);
    }
    MLS__TILE_STORE(0, sums, 64);
    MLS__TILE_STORE(1, sums + 256, 64);
    MLS__TILE_STORE(2, sums + 512, 64);
    for (int row = 0; row < 16; row++, c += 16) {
        MLS__FN(mls__i64) v[2], w[2];
        mls__tiles_join(sums + row * 16, v);
        memcpy(w, c, sizeof w);
        w[0] += v[0], w[1] += v[1];
        memcpy(c, w, sizeof w);
    }
}

/* All taps of a block of a times nb blocks of b, over words that stay in the L1 cache. */
MLS__INLINE MLS__TARGET_TILES void mls__tiles_taps(int nb, const mls__strip *x, const uint8_t *a,
                                                   const uint8_t *b, int32_t words, int fresh,
                                                   size_t at)
{
    const size_t tap_tiles = (size_t)(x->a_blocks * x->b_blocks) * 256;
    for (int32_t tap = 0; tap < x->taps; tap += 2, at += 2 * tap_tiles) {
        const uint8_t *a0 = a + x->a_tap[tap];
        if (x->a_plane) {
            mls__tiles_strip16(x, a0, b, words, x->c64 + at);
            if (tap + 1 == x->taps) break;
            mls__tiles_strip16(x, a + x->a_tap[tap + 1], b, words, x->c64 + at + tap_tiles);
        } else if (tap + 1 == x->taps) {
            mls__tiles_strip8(1, nb, x, a0, a0, b, words, fresh, x->c32 + at, x->c32 + at);
        } else {
            mls__tiles_strip8(2, nb, x, a0, a + x->a_tap[tap + 1], b, words, fresh, x->c32 + at,
                              x->c32 + at + tap_tiles);
        }
    }
}

static MLS__TARGET_TILES void mls__tiles_strip(const mls__strip *x)
{
    int32_t nb, bytes = x->a_plane ? 2 * (16 + 16) : 16 + 32; /* of a pixel */
    int32_t most = MLS__L1 / bytes / 64 * MLS__TILE_WORDS;
    mls__tiles_shape(16);
    for (int32_t block = 0; block < x->b_blocks; block += nb) {
        nb = x->b_blocks - block > 1 && !x->a_plane ? 2 : 1;
        for (int32_t word = 0; word < x->words; word += most) {
            int32_t words = x->words - word < most ? x->words - word : most;
            const uint8_t *b = x->b + (size_t)block * x->b_block + (size_t)word * 64;
            for (int32_t i = 0; i < x->a_blocks; i++) {
                const uint8_t *a = x->a + (size_t)(i * MLS__LANE) * x->a_channel + (size_t)word * 4;
                size_t at = (size_t)(i * x->b_blocks + block) * 256;
                int fresh = x->fresh && word == 0;
                if (nb == 2)
                    mls__tiles_taps(2, x, a, b, words, fresh, at);
                else
                    mls__tiles_taps(1, x, a, b, words, fresh, at);
            }
        }
    }
}

static MLS__TARGET void mls__tiles_bytes(const int16_t *v, size_t count, uint8_t *low,
                                         uint8_t *high)
{
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m512i x;
        __m256i l, h;
        memcpy(&x, v + i, sizeof x);
        l = _mm512_maskz_cvtepi16_epi8(0xffffffffu, x);
        h = _mm512_maskz_cvtepi16_epi8(0xffffffffu, _mm512_srai_epi16(x, 8));
        memcpy(low + i, &l, sizeof l);
        memcpy(high + i, &h, sizeof h);
    }
    for (; i < count; i++) low[i] = (uint8_t)(v[i] & 255), high[i] = (uint8_t)(v[i] >> 8);
}

/* One plane of 16 integers. */
MLS__INLINE MLS__TARGET __m128i mls__tiles_plane(const uint8_t *from, size_t size, int plane)
{
    __m256i x;
    if (size == 1) return _mm_loadu_si128((const __m128i *)(const void *)from);
    x = _mm256_loadu_si256((const __m256i *)(const void *)from);
    return _mm256_maskz_cvtepi16_epi8(0xffff, plane ? _mm256_srai_epi16(x, 8) : x);
}

/* 16 words of 4 pixels. */
MLS__INLINE MLS__TARGET __m512i mls__tiles_word(const uint8_t *from, size_t pixel, size_t size,
                                                int plane)
{
    const __m512i dwords = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_maskz_broadcast_i32x4(
        MLS__ALL16, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m512i v = _mm512_castsi128_si512(mls__tiles_plane(from, size, plane));
    v = _mm512_maskz_inserti32x4(MLS__ALL16, v, mls__tiles_plane(from + pixel, size, plane), 1);
    v = _mm512_maskz_inserti32x4(MLS__ALL16, v, mls__tiles_plane(from + 2 * pixel, size, plane), 2);
    v = _mm512_maskz_inserti32x4(MLS__ALL16, v, mls__tiles_plane(from + 3 * pixel, size, plane), 3);
    return _mm512_shuffle_epi8(_mm512_maskz_permutexvar_epi32(MLS__ALL16, dwords, v), bytes);
}

static MLS__TARGET void mls__tiles_words(const mls__line *x)
{
    const size_t size = x->size;
    const int plane = x->plane;
    for (size_t block = 0; block < x->blocks; block++) {
        const uint8_t *from = x->from + block * MLS__LANE * size;
        uint8_t *to = x->to + block * x->step;
        for (size_t i = 0; i < x->pixels; i += 4, from += 4 * x->pixel, to += 64) {
            __m512i v = size == 1 ? mls__tiles_word(from, x->pixel, 1, 0)
                        : plane ? mls__tiles_word(from, x->pixel, 2, 1)
                                : mls__tiles_word(from, x->pixel, 2, 0);
            memcpy(to, &v, sizeof v);
        }
    }
}

/* Transposes 16 x 16 words. */
MLS__INLINE MLS__TARGET void mls__tiles_turn16(__m512i *v)
{
    const __mmask8 all = 255;
    __m512i w[16];
    MLS__UNROLL
    for (int i = 0; i < 16; i += 2) {
        w[i] = _mm512_maskz_unpacklo_epi32(MLS__ALL16, v[i], v[i + 1]);
        w[i + 1] = _mm512_maskz_unpackhi_epi32(MLS__ALL16, v[i], v[i + 1]);
    }
    MLS__UNROLL
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_maskz_unpacklo_epi64(all, w[i], w[i + 2]);
        v[i + 1] = _mm512_maskz_unpackhi_epi64(all, w[i], w[i + 2]);
        v[i + 2] = _mm512_maskz_unpacklo_epi64(all, w[i + 1], w[i + 3]);
        v[i + 3] = _mm512_maskz_unpackhi_epi64(all, w[i + 1], w[i + 3]);
    }
    MLS__UNROLL
    for (int i = 0; i < 16; i += 8) {
        MLS__UNROLL
        for (int j = 0; j < 4; j++) {
            w[i + j] = _mm512_maskz_shuffle_i32x4(MLS__ALL16, v[i + j], v[i + j + 4], 0x88);
            w[i + j + 4] = _mm512_maskz_shuffle_i32x4(MLS__ALL16, v[i + j], v[i + j + 4], 0xdd);
        }
    }
    MLS__UNROLL
    for (int j = 0; j < 8; j++) {
        v[j] = _mm512_maskz_shuffle_i32x4(MLS__ALL16, w[j], w[j + 8], 0x88);
        v[j + 8] = _mm512_maskz_shuffle_i32x4(MLS__ALL16, w[j], w[j + 8], 0xdd);
    }
}

static MLS__TARGET void mls__tiles_turn(const mls__line *x)
{
    const size_t size = x->size;
    const int plane = x->plane;
    for (size_t block = 0; block < x->blocks; block++) {
        const uint8_t *from = x->from + block * MLS__LANE * size;
        uint8_t *to = x->to + block * MLS__LANE * x->step;
        for (size_t i = 0; i < x->pixels; i += 64, from += 64 * x->pixel, to += 64) {
            __m512i v[16];
            MLS__UNROLL
            for (size_t j = 0; j < 16; j++) {
                const uint8_t *at = from + 4 * j * x->pixel;
                v[j] = size == 1 ? mls__tiles_word(at, x->pixel, 1, 0)
                       : plane ? mls__tiles_word(at, x->pixel, 2, 1)
                               : mls__tiles_word(at, x->pixel, 2, 0);
            }
            mls__tiles_turn16(v);
            MLS__UNROLL
            for (size_t j = 0; j < 16; j++) memcpy(to + j * x->step, &v[j], 64);
        }
    }
}

static MLS__TARGET void mls__tiles_put(const int32_t *c32, const int64_t *c64, const float *factors,
                                       size_t rows, size_t cols, float *to, size_t step)
{
    __m512i v[16];
    MLS__UNROLL
    for (int i = 0; i < 16; i++) {
        MLS__F z;
        if (c32) {
            z = MLS__TO_FLOAT(MLS__BITS(MLS__LOAD(c32 + i * 16)));
            z = ((z * factors[0]) * factors[1]) * factors[2];
        } else {
            MLS__FN(mls__i64) w[2];
            memcpy(w, c64 + i * 16, sizeof w);
            z = mls__tiles_float64(w, factors);
        }
        memcpy(&v[i], &z, sizeof z);
    }
    mls__tiles_turn16(v);
    for (size_t i = 0; i < cols; i++) {
        MLS__F z;
        memcpy(&z, &v[i], sizeof z);
        MLS__FN(mls__store_part)(to + i * step, z, (int32_t)rows);
    }
}

static const mls__amx_unit mls__amx_unit_amx = {
    mls__tiles_area, mls__tiles_strip, mls__tiles_bytes,  mls__tiles_words,
    mls__tiles_turn, mls__tiles_put,   mls__tiles_release};

#undef MLS__TARGET_TILES
#undef MLS__TILE_SHAPE
#undef MLS__TILE_ZERO
#undef MLS__TILE_LOAD
#undef MLS__TILE_STORE
#undef MLS__TILE_SS
#undef MLS__TILE_SU
#undef MLS__TILE_US
#undef MLS__TILE_UU
#undef MLS__TILE_RELEASE
#endif

/* clang-format off */
static const mls__kernel MLS__FN(mls__kernel) = {
#if MLS__LANES == 16
    {0, 16, 8, 8},
#elif MLS__UNIT == MLS__ISA_SSE41
    {0, 2, 0, 0},
#else
    {0, 4, 0, 0},
#endif
    MLS__UNIT == MLS__ISA_AVXVNNI || MLS__UNIT == MLS__ISA_AVX512VNNI ? 128 : 0,
#if MLS__UNIT == MLS__ISA_AMX
#define MLS__OWN MLS__VECTORS
#else
#define MLS__OWN MLS__FN
#endif
    MLS__OWN(mls__dot), MLS__OWN(mls__lanes), MLS__OWN(mls__cross),
    MLS__VECTORS(mls__fold), MLS__VECTORS(mls__interleave), MLS__VECTORS(mls__next_pixel),
    MLS__VECTORS(mls__split), MLS__VECTORS(mls__add_sums), MLS__VECTORS(mls__add_floats),
    MLS__VECTORS(mls__emit),
#undef MLS__OWN
#if MLS__UNIT == MLS__ISA_AMX
    &mls__amx_unit_amx
#else
    0
#endif
};
/* clang-format on */

#endif /* template */
