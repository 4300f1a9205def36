/* mls_train.h - v0.1.0 - training convolutional networks with MLS integers - MIT licence

   DO THIS in exactly one C or C++ file:

       #define MLS_IMPLEMENTATION
       #include "mls_train.h"         (it includes mls_conv.h and mls.h)

   WHAT IT IS
       A layer graph whose convolutions run on low-bit integers in all three directions
       ("Exploring the Potential of Low-bit Training of CNNs", Algorithm 2): W, A and E are
       quantized right before the convolutions that use them, once a step; everything else is fp32.
       One arena of an exact size, known before anything is allocated, holds a network.

   EXAMPLE
       mls_net net;
       mls_node nodes[32];
       mls_net_desc desc = {0};
       desc.batch = 64, desc.seed = 1;
       mls_formats_parse(&desc.formats, "2,1", NULL, 0);      low-bit integers

       mls_net_begin(&net, &desc, nodes, 32);
       int32_t x = mls_net_input(&net, 32, 32, 3);
       mls_conv_desc conv = {0};
       conv.c_out = 16, conv.kh = 3, conv.pad = 1;
       x = mls_net_relu(&net, mls_net_batch_norm(&net, mls_net_conv(&net, x, &conv)));
       x = mls_net_linear(&net, mls_net_global_pool(&net, x), 10);
       mls_net_loss(&net, x);

       mls_plan plan;
       if (mls_net_plan(&net, &plan) != MLS_OK) complain(net.text);
       void *arena = malloc(plan.arena);
       mls_net_bind(&net, arena, plan.arena);
       for (...) mls_net_step(&net, images, labels, 64, &sgd, &result);

   ONE ANSWER
       The same source, seed and data give the same mls_net_digest after any number of steps, with
       every kernel, thread count, compiler and architecture, and across save and load.

   THREADS AND STACK
       A network belongs to one call at a time; threads may use a network each at the same time. Under
       gcc's OpenMP fork before the first call. A call needs at most 18 KiB of stack, 5 KiB with
       MLS_NO_SIMD, as measured on x86-64; without optimisation vectors need far more (docs/FAQ.md).

   CONFIGURATION, beyond that of mls.h
       MLS_MALLOC(size), MLS_FREE(p)   allocator of the loaders of data and files (both or none)
       MLS_NO_MALLOC                   without the functions that need it
       MLS_NO_STDIO                    without files: mls_net_save, mls_net_load, mls_data_cifar10,
                                       mls_data_pictures, mls_data_folder

   SECTIONS (search for ">>name")
       >>api  >>math  >>build  >>layers  >>program  >>plan  >>step  >>optimizer  >>digest
       >>checkpoint  >>data  >>files  >>template
*/
#if !defined(MLS__UNIT)

/* ------------------------------------------------------------------------------------ >>api */
#ifdef MLS_CONV_HEADER
#include MLS_CONV_HEADER
#else
#include "mls_conv.h"
#endif

#ifndef MLS_TRAIN_H_INCLUDED
#define MLS_TRAIN_H_INCLUDED

#ifdef __cplusplus
extern "C" {
#endif

/* A layer. Private: declare an array of them for mls_net_begin, read them with mls_net_layer. */
enum {
    MLS__BUFFERS = 17,
    MLS__NAME = 48 /* bytes of a name with its end */
};
typedef struct mls__buffer {
    size_t size, at;     /* bytes, and where in the arena */
    int32_t first, last; /* phases of a step that use it; last is -1 beside all of them */
} mls__buffer;
typedef struct mls_node {
    const struct mls_layer_kind *kind;
    const void *parameters; /* of a custom layer */
    int32_t custom;
    int32_t in[2], consumers;
    mls_shape shape; /* n is the batch */
    mls_conv conv;
    mls_format format[6];      /* of the operands, in the order of mls_formats; all zero: fp32 */
    int32_t size, stride, pad; /* pools, subsample */
    int32_t bias;
    float amount; /* of an activation, of dropout, of a loss: see their prototypes */
    size_t weights, seconds, states, constants; /* numbers, see mls_layer_sizes */
    size_t weights_at, states_at, constants_at; /* their places among those of the network */
    size_t keep, sums;                          /* bytes and doubles of an image */
    int32_t value_of, grad_of; /* nodes whose buffers hold this one's output and its gradient */
    int32_t activation_of[2];  /* convolutions whose quantized activations this one shares */
    int32_t give[2];           /* how the gradient passes to the inputs */
    int32_t has_grad;
    float rate;              /* 0: frozen */
    int32_t trained, learns; /* its own numbers are, and it or a node below it is; when planned */
    int32_t has_formats;     /* not fp32 whatever the network's formats are */
    mls_conv_call *kept;     /* packed weights, or null */
    int32_t coded;           /* 1: the codes of the weights were read, and are not made of fp32 */
    uint32_t facts;          /* what the steps of the layer depend on, now */
    uint32_t planned; /* and with any formats that there is room for; then, of a convolution, in */
    uint32_t uses;    /* what form its products take their operands, see mls__product_uses */
    char name[MLS__NAME];
    mls__buffer buffer[MLS__BUFFERS];
} mls_node;

/* What mls_net_update does with the gradient, see mls_sgd. */
typedef enum mls_optimizer {
    MLS_SGD,
    MLS_ADAMW
} mls_optimizer;

/* Zero means the default everywhere. */
typedef struct mls_net_desc {
    int32_t batch;       /* most images of a step; required */
    mls_formats formats; /* of the quantized convolutions; all zero: fp32 */
    int quantize_first;  /* 1: also a convolution that reads an input node */
    int quantize_last;   /* 1: also linear layers */
    uint64_t seed;       /* of the initial weights and of stochastic rounding */
    float bn_momentum;   /* share of the new batch in the running statistics; 0.1 */
    float bn_epsilon;    /* 1e-5 */
    mls_formats widest;  /* the most memory that formats given later need, see mls_net_format; all
                            zero: none are */
    int inference;       /* 1: for mls_net_evaluate alone, in a much smaller arena: no gradients, no
                            optimizer state, nothing kept for backward. What trains is STATE. See
                            mls_net_pack */
    const struct mls_net *weights_of; /* another inference network of the same layers and formats,
                            whose weights this one takes, and whose seed, instead of having any: with
                            a network each, threads evaluate at the same time. That one is bound, and
                            packed by mls_net_pack, before the first evaluation here, and packed again
                            whenever its weights change, while nobody evaluates (STATE: it is not, or
                            has others). Where it is begun anew, so are those that share. Reading,
                            mls_net_format and saving are for that one (STATE) */
    /* Of training. AdamW has beta2 (0.999) and epsilon (1e-8, at least 1e-30); its beta1 is the momentum of
       mls_sgd. */
    mls_optimizer optimizer;
    float beta2, epsilon;
    /* An update scales the mean gradient down to this norm, that of all trained numbers together, where it
       is larger; 0: never. */
    float clip;
    /* 1: weight decay is for weights of convolutions and linear layers alone: neither for norms nor for
       biases. */
    int no_decay_norms;
    /* 1: keeps an average of weights and running statistics, see mls_net_use_average. An update gives the new
       numbers 1 - average_decay (0.999) of it, or 9 / (9 + updates before) where that is more, so that the
       first ones are soon forgotten. */
    int average;
    float average_decay;
} mls_net_desc;

typedef struct mls_result {
    double loss;     /* mean over the images */
    int32_t correct; /* images whose largest logit is the label's; with targets 0 */
    int32_t images;
} mls_result;

/* Sees an operand, see mls_net_inspect. */
typedef void mls_see(void *user, int32_t node, int32_t operand, const mls_tensor *tensor,
                     const float *x);

/* A network. status and text are for reading; the rest is private. */
typedef struct mls_net {
    mls_status status; /* of the first failed build call; once planned, of the last call */
    char text[256];    /* what went wrong, naming the layer */
    mls_net_desc desc;
    mls_node *nodes;
    int32_t count, capacity;
    int64_t step;           /* gradients computed so far */
    int64_t updates;        /* updates done so far */
    int64_t images_pending; /* images in the gradient since the last update */
    int32_t planned;        /* 1: planned, 2: bound */
    int32_t averaged;       /* 1: the average is in use */
    int32_t threads;
    uint8_t *arena;
    size_t arena_size, parameters, states, constants; /* numbers of floats */
    size_t trained;                                   /* of the parameters, the first ones */
    int32_t packed, packings; /* the number of the last packing of the weights, 0: they are not */
    size_t constants_at, packed_at, values_at, scratch_at, scratch_step, work_at[2], work_size[2];
    mls_conv_call *calls[2]; /* one that writes images, one for the gradient of weights */
    const float *x;          /* of the call in progress, as all that follows */
    const int32_t *labels;
    const float *targets, *next_targets; /* of mls_net_targets: of this call, of the next */
    int32_t images, training;
    mls_see *see; /* of mls_net_inspect, with see_user */
    void *see_user;
    mls_result result; /* loss is the sum over the images */
} mls_net;

/* Starts a network in caller-owned nodes. Every build call below returns the number of the new
   node, or -1 after an error: the first one stays in net->status and net->text, later calls with
   -1 do nothing, so that only mls_net_plan needs a check. */
MLS_DEF mls_status mls_net_begin(mls_net *net, const mls_net_desc *desc, mls_node *nodes,
                                 int32_t capacity);

/* Images [batch][h][w][c]. One per network. */
MLS_DEF int32_t mls_net_input(mls_net *net, int32_t h, int32_t w, int32_t c);

typedef struct mls_conv_desc {
    int32_t c_out, kh;
    int32_t kw;     /* 0: kh */
    int32_t stride; /* 0: 1 */
    int32_t pad;
    int fp32;            /* 1: stays unquantized */
    int bias;            /* 1: adds a value per output channel */
    mls_formats formats; /* each, if all zero: that of the network; see mls_net_format */
    int32_t groups;      /* these as in mls_conv */
    int32_t stride_h, stride_w, dilation_h, dilation_w;
    int32_t pad_top, pad_left, pad_bottom, pad_right;
} mls_conv_desc;
MLS_DEF int32_t mls_net_conv(mls_net *net, int32_t x, const mls_conv_desc *desc);

/* Per channel over batch, h, w; scale and shift are trained. In evaluation the running mean and
   (unbiased) variance are used. */
MLS_DEF int32_t mls_net_batch_norm(mls_net *net, int32_t x);
/* The same with the mean magnitude in the deviation's place: y = scale u / (s + epsilon) + shift, where
   u = x - mean and s = mean |u| sqrt(pi/2), which is the deviation of what is normally distributed
   ("Towards Accurate and Efficient Sub-8-Bit Integer Training", as this library understands it; fp32). */
MLS_DEF int32_t mls_net_l1_norm(mls_net *net, int32_t x);
MLS_DEF int32_t mls_net_relu(mls_net *net, int32_t x);
/* slope x where x is not above 0; slope from 0 to less than 1 (ARGUMENT). */
MLS_DEF int32_t mls_net_leaky_relu(mls_net *net, int32_t x, float slope);
/* x P(x), P the share of a normal distribution below x, by Abramowitz and Stegun's 7.1.26 for erf: within
   3.3e-7 |x| of it, at most 4.3e-7, and its slope within 3.3e-7, as measured at all |x| of 1e-9 to 128. */
MLS_DEF int32_t mls_net_gelu(mls_net *net, int32_t x);
/* 1 / (1 + e^-x), with an exponential of our own: within 9e-8 of it, as measured there. */
MLS_DEF int32_t mls_net_sigmoid(mls_net *net, int32_t x);
/* In training an element is 0 with probability p, rounded down to a multiple of 2^-16, and else divided by
   1 - p: by mls_random16 of seed, step, node, image and element, the same everywhere. In evaluation, and in
   inference, it is x. p from 0 to less than 1 (ARGUMENT). */
MLS_DEF int32_t mls_net_dropout(mls_net *net, int32_t x, float p);
MLS_DEF int32_t mls_net_add(mls_net *net, int32_t x, int32_t y); /* same shapes */
/* The channels of x, then those of y; same height and width. */
MLS_DEF int32_t mls_net_concat(mls_net *net, int32_t x, int32_t y);
/* size x size windows; padding counts as -infinity, or as absent in the average. stride 0: size. */
MLS_DEF int32_t mls_net_max_pool(mls_net *net, int32_t x, int32_t size, int32_t stride,
                                 int32_t pad);
MLS_DEF int32_t mls_net_average_pool(mls_net *net, int32_t x, int32_t size, int32_t stride,
                                     int32_t pad);
MLS_DEF int32_t mls_net_global_pool(mls_net *net, int32_t x); /* mean over h and w */
/* Option A shortcut: every stride-th pixel, channels zero-padded to c on both sides. */
MLS_DEF int32_t mls_net_subsample(mls_net *net, int32_t x, int32_t stride, int32_t c);
MLS_DEF int32_t mls_net_linear(mls_net *net, int32_t x, int32_t outputs); /* with a bias */
/* Softmax cross-entropy, averaged over the images of an update. Last node of a network. */
MLS_DEF int32_t mls_net_loss(mls_net *net, int32_t x);
/* The same, and in training what is wanted is 1 - smoothing of the label and smoothing / classes of every
   class; smoothing from 0 to less than 1 (ARGUMENT). Evaluation has the loss of the label. */
MLS_DEF int32_t mls_net_smooth_loss(mls_net *net, int32_t x, float smoothing);
/* Mean squared error: the mean of (x - target)^2 over the outputs of an image, averaged as above. For
   numbers, not classes: it takes mls_net_targets, and no labels; mls_net_logits has its outputs. */
MLS_DEF int32_t mls_net_mse_loss(mls_net *net, int32_t x);

/* A layer of your own, or a loss: a row like those of the layers here, see mls_layer_kind. x, and y if
   it is not -1, are its inputs. kind and parameters stay the caller's, and must stay where they are; a
   checkpoint knows the layer by its name. Errors: as of every build call, and what the row's shape
   says; ARGUMENT: a row without a name or forward steps, or a serial step that writes MLS_DX. */
MLS_DEF int32_t mls_net_custom(mls_net *net, const struct mls_layer_kind *kind, int32_t x,
                               int32_t y, const void *parameters);

/* Names a node, for its tensors (mls_net_each_tensor) and for reports: "layer1.0.conv1". A build call,
   which returns the node. The name is copied, and kept by checkpoints, whose networks are the same whatever
   the names are. Errors: ARGUMENT (not 1 to 47 letters, digits, '_', '-' and '.'; another node's; one that
   starts with "node", as the names of nodes without one do), STATE once planned. */
MLS_DEF int32_t mls_net_name(mls_net *net, int32_t node, const char *name);

/* What the functions of a layer are given. A step has pointers to what it says that it reads and
   writes, and null for all else: so nothing can be forgotten, and the plan knows which memory is free.
   Floats are [n][h][w][c], from the image at hand on, or from image 0 on in a serial step. */
typedef struct mls_work {
    struct mls_net *net;
    int32_t node;           /* its number */
    const void *parameters; /* as given to mls_net_custom */
    mls_shape in[2], out;   /* of inputs and output; n is the number of images in this call */
    uint32_t uses;          /* what the step reads and writes */
    int32_t image, thread;  /* at hand, at work */
    int32_t training;       /* 0: evaluation */
    int32_t frozen;         /* 1: by mls_net_rate; then the layer stays as it is in training, too */
    const float *x[2];      /* MLS_X */
    float *y;               /* MLS_Y */
    const float *dy;        /* MLS_DY */
    float *dx[2];           /* MLS_DX; null where no gradient is wanted */
    void *keep;          /* MLS_KEEP, aligned to 16 bytes; this and sums are null in an inference */
    double *sums;        /* network, MLS_SUMS, where no step of an evaluation writes them */
    float *weights[2];   /* trained numbers, and the second ones: set by init, then to be read */
    float *gradients[2]; /* theirs, to be added to; null in a step of an image, or frozen */
    float *state;        /* set by init and settle, read by steps */
    float *constants;    /* what a serial step derives for the steps that follow */
    const int32_t *labels; /* of all images; null: there are none */
    const float *targets;  /* the same, of a loss with MLS_TARGETS */
    mls_result *result;    /* of a loss: a serial step adds the sum of losses and what is correct */
} mls_work;

/* What a layer needs. Comes with the shape of the first input, and no numbers. */
typedef struct mls_layer_sizes {
    mls_shape shape;         /* of its output */
    size_t weights, seconds; /* trained numbers, see mls_net_weights */
    size_t state;            /* numbers that evaluation depends on, such as running statistics */
    size_t constants;        /* numbers that a pass derives */
    size_t keep, sums;       /* bytes and doubles of an image */
} mls_layer_sizes;

/* When a step is done: where all of these hold. */
enum {
    MLS_IF_TRAINING = 1,
    MLS_IF_EVALUATION = 2,
    MLS_IF_LABELS = 4, /* or targets are there */
    MLS_IF_WANTED = 8, /* the gradient of an input is */
    MLS_IF_TRAINED =
        16, /* the layer has trained numbers, which are not frozen: of steps that add to */
    MLS_IF_FROZEN = 32 /* gradients; it has none, or they are */
};
/* How often: for each image, in any order, by any thread; once after all images, before what follows;
   or once after all images, while what follows need not wait. */
enum {
    MLS_EACH,
    MLS_SERIAL,
    MLS_AFTER
};
/* What it reads and writes: inputs, output, the gradient of the output and of the inputs (all elements
   are to be set; the network adds up what several layers give), what forward keeps for backward, and
   sums of each image, which a serial step adds in order, so that there is one answer. */
enum {
    MLS_X = 1,
    MLS_Y = 2,
    MLS_DY = 4,
    MLS_DX = 8,
    MLS_KEEP = 16,
    MLS_SUMS = 32
};
typedef struct mls_step {
    uint32_t when;  /* 0: always */
    int32_t serial; /* MLS_EACH, MLS_SERIAL or MLS_AFTER */
    uint32_t reads, writes;
    void (*run)(const mls_work *work);
} mls_step;
#define MLS_STEPS_END \
    {                 \
        0, 0, 0, 0, 0 \
    }

/* Flags of a layer. In place: y may lie where x[0] does, and dx[0] where dy does, as an element of the
   one depends on that element of the other only. Loss: the last layer, whose forward steps write dx,
   the gradient of the sum of the losses. Targets: of a loss, which takes mls_net_targets for labels. */
enum {
    MLS_IN_PLACE = 1,
    MLS_LOSS = 2,
    MLS_TARGETS = 4
};
typedef struct mls_layer_kind {
    const char *name;
    uint32_t flags;
    /* Sets what the layer needs. Returns null, or what is wrong: "it needs ..."; null: the shape of the
       first input, no numbers. */
    const char *(*shape)(const mls_work *work, mls_layer_sizes *sizes);
    void (*init)(const mls_work *work, uint64_t seed); /* sets first numbers; null: all are 0 */
    const mls_step *forward, *backward;       /* in order, up to MLS_STEPS_END; null: none */
    void (*settle)(const mls_work *work);     /* updates the state when a step went well; or null */
    mls_status (*plan)(const mls_work *work); /* null; for the layers here */
} mls_layer_kind;

/* What a network needs and does. */
typedef struct mls_plan {
    size_t arena;      /* bytes for mls_net_bind, at any alignment */
    size_t parameters; /* of these: weights, statistics, gradients, optimizer state, average; of
                          inference the packed weights, too */
    size_t values;     /* activations, errors and their quantized copies */
    size_t scratch;    /* workspace of the threads */
    int64_t weights;   /* trained numbers */
    int64_t frozen;    /* of these: by mls_net_rate */
    int64_t macs;      /* multiply-accumulates of one image, forward */
    int64_t macs_low;  /* of these in low-bit integers */
    int32_t threads;   /* that a step will use */
} mls_plan;

/* Checks the network and lays it out for the current number of OpenMP threads, 64 at most. plan may
   be null. Errors: what a build call found; FORMAT; RANGE when a layer's sums cannot be exact; SHAPE
   when it is too large to address; STATE. net->text names the layer. */
MLS_DEF mls_status mls_net_plan(mls_net *net, mls_plan *plan);

/* Takes the arena and sets the initial weights: convolutions normal with variance
   2 / (kh kw c_out), linear layers uniform in +-1/sqrt(inputs), biases 0, batch norm 1 and 0.
   The arena stays the caller's, and must stay where it is. Errors: STATE, MEMORY, ARGUMENT, FLOATS. */
MLS_DEF mls_status mls_net_bind(mls_net *net, void *arena, size_t size);

/* Gives a convolution or linear layer formats, whatever the rules of the descriptions say for it.
   Before mls_net_plan it is a build call. Afterwards it may be called between any two calls, if the
   network's description has widest formats: the plan makes room for these beside the first ones, in all
   layers that are quantized by the rules or by a call before the plan; what needs more, or another
   operand by product or as fp32 than either, is refused. Numbers, gradient and step stay. Errors:
   ARGUMENT (another kind of node), FORMAT, RANGE, MEMORY (no room), STATE (no widest formats): net->text
   names the layer, and after mls_net_plan nothing changes. */
MLS_DEF mls_status mls_net_format(mls_net *net, int32_t node, const mls_formats *formats);

/* The same for many layers, as text: "LAYERS=FORMATS; LAYERS=FORMATS ...", the later ones count. LAYERS
   is a node's number, or conv or linear with its number among those from 1 on, or conv or linear alone
   for all of them, or FIRST-LAST: "conv1=fp32; conv8-13=w=2,4 a=2,1; linear=2,4". FORMATS as in
   mls_formats_parse. Errors: as above, and FORMAT: net->text has the word that is not understood. What
   stands before the wrong one is done. */
MLS_DEF mls_status mls_net_formats(mls_net *net, const char *text);

/* One layer, for reports. */
typedef struct mls_layer {
    const char *kind;
    mls_shape shape;   /* of its output */
    int32_t inputs[2]; /* node numbers, -1: none */
    int64_t weights, macs;
    mls_formats formats; /* of convolutions and linear layers; fp32 is said with MLS_ROUND_NONE */
    const char *name;    /* see mls_net_name; empty: none */
    /* Of convolutions and linear layers; of pools and subsample: in, kh, kw, stride, pad, of subsample the
       channels of zeros that come first. */
    mls_conv window;
    float epsilon; /* of norms */
    float amount;  /* slope of a leaky relu, p of dropout, smoothing of a loss */
} mls_layer;
MLS_DEF mls_status mls_net_layer(const mls_net *net, int32_t node, mls_layer *layer);

/* The share of the optimizer's rate that a node gets, 1 at first. 0 before mls_net_plan, where this is a
   build call, freezes the node: its numbers and running statistics stay, which are what a norm then uses in
   training, too; it has no gradient and no momentum (in checkpoints and the digest this is 0), and below
   the lowest trained node there is no backward pass: no errors, no stored activations. Once planned, a rate
   may change between any two calls, but neither from nor to 0. Errors: ARGUMENT (no such node; a rate below
   0 or not finite; freezing a custom layer with numbers, one of whose serial backward steps says neither
   MLS_IF_TRAINED nor MLS_IF_FROZEN), STATE (from or to 0 once planned). */
MLS_DEF mls_status mls_net_rate(mls_net *net, int32_t node, float rate);

/* The same for many layers, as text: "LAYERS=RATE; LAYERS=RATE ...", LAYERS as in mls_net_formats, where
   conv and linear stand for these layers and for the norm that reads one: "conv1-19=0; linear=2". RATE has
   digits and, after a point, at most six. Errors: as above, and FORMAT. What stands before the wrong one is
   done. */
MLS_DEF mls_status mls_net_rates(mls_net *net, const char *text);

/* How a convolution or linear layer is carried out, and why: see mls_conv_explain.
   ARGUMENT: another kind of node. */
MLS_DEF mls_status mls_net_explain(const mls_net *net, int32_t node, mls_direction direction,
                                   char *text, size_t size);

/* The input of the loss after the last call: [images][classes]. Null before the first. */
MLS_DEF const float *mls_net_logits(const mls_net *net);

/* Trained numbers of a node: its weights (conv, linear: [c_out][kh][kw][c_in]; batch norm: scale)
   and its gradient, a sum over the images since the last update; null where there are none, and neither
   an inference network nor a frozen node has gradients. For tests, export and surgery. second: the bias, or
   batch norm's shift. */
MLS_DEF float *mls_net_weights(mls_net *net, int32_t node, int second, size_t *count);
MLS_DEF float *mls_net_gradients(mls_net *net, int32_t node, int second, size_t *count);

/* A tensor of a network: trained numbers, or what evaluation depends on beside them. */
typedef struct mls_net_tensor {
    const char *name; /* "conv1.weight": of the node, or "node3.convolution", and the part */
    const char *part; /* weight, bias; of norms running_mean and running_var or, of L1 norm,
                         running_deviation; state: that of a custom layer */
    int32_t node, rank;
    /* Of convolutions: [c_out][kh][kw][c_in of a group]; linear: [outputs][inputs] with inputs in the
       order [h][w][c]; all else has one dimension. 1 beyond the rank. */
    int64_t dims[4];
    size_t count;
    float *values; /* in the arena (of weights_of, if there is one), to be read or set; null before
                      mls_net_bind */
    mls_format format;       /* of weights in the forward pass; all zero: fp32 */
    mls_shape shape;         /* of their tensor: */
    uint64_t seed;           /* mls_quantize(tensor, values, seed) gives the codes of evaluation */
    const mls_tensor *codes; /* the same, of an inference network since mls_net_pack; else null */
} mls_net_tensor;

/* Calls visit with each tensor of a planned network, in the order of the nodes and of the parts above.
   tensor and its name last until visit returns; another status than MLS_OK ends the visits and is
   returned. Errors: ARGUMENT, STATE. */
typedef mls_status (*mls_net_visit)(void *user, const mls_net_tensor *tensor);
MLS_DEF mls_status mls_net_each_tensor(mls_net *net, mls_net_visit visit, void *user);

/* The numbers of an update, w being a weight and g its mean gradient, clipped; rate is multiplied by that
   of the node. SGD: v = momentum v + (g + decay w); w = w - rate v. AdamW, update t since the optimizer
   began: m = momentum m + (1 - momentum) g; v = beta2 v + (1 - beta2) g^2; w = w - rate decay w;
   w = w - rate m / (1 - momentum^t) / (sqrt(v / (1 - beta2^t)) + epsilon). */
typedef struct mls_sgd {
    float rate, momentum, decay; /* of AdamW: at least 0, momentum below 1 */
    int nesterov;                /* 1: w = w - rate (g + decay w + momentum v); SGD's */
} mls_sgd;

/* Forward and backward of images [images][h][w][c] with labels 0 .. classes - 1; images <= batch.
   Adds to the gradient: several calls before mls_net_update accumulate. result may be null.
   Errors: ARGUMENT (label out of range, no images), STATE, FLOATS, NONFINITE: net->text names step
   and layer or image. Weights, optimizer and running statistics are as before the call; an error in the
   backward pass also drops the gradient accumulated so far. */
MLS_DEF mls_status mls_net_gradient(mls_net *net, const float *images, const int32_t *labels,
                                    int32_t count, mls_result *result);

/* Targets [images][outputs] for the next call that takes labels, which are null then, and for no other. They
   must stay until it returns. Errors of that call: ARGUMENT (a loss of classes, which wants labels, or one of
   targets that got labels), NONFINITE (one of the targets is not finite). */
MLS_DEF mls_status mls_net_targets(mls_net *net, const float *targets);

/* Applies the mean gradient since the last update, and clears it. Errors: ARGUMENT (a number of the
   optimizer is not finite or out of range), FLOATS, STATE (there is none). */
MLS_DEF mls_status mls_net_update(mls_net *net, const mls_sgd *sgd);

/* Both. */
MLS_DEF mls_status mls_net_step(mls_net *net, const float *images, const int32_t *labels,
                                int32_t count, const mls_sgd *sgd, mls_result *result);

/* Forward only, with running statistics; changes nothing that training depends on. labels may be
   null (then loss and correct are 0). Every image is quantized by itself, so that its logits are the
   same bits alone and in any batch. Errors as of mls_net_gradient. */
MLS_DEF mls_status mls_net_evaluate(mls_net *net, const float *images, const int32_t *labels,
                                    int32_t count, mls_result *result);

/* mls_net_evaluate without labels, and what follows from the logits of each image: classes [count], the
   largest, the first of equals; probabilities [count][classes], their softmax, of as many classes as the
   loss has inputs. Either may be null. Errors as of mls_net_evaluate: then nothing is written. */
MLS_DEF mls_status mls_net_predict(mls_net *net, const float *images, int32_t count,
                                   int32_t *classes, float *probabilities);

/* 1: from now on mls_net_evaluate, mls_net_predict, mls_net_weights, mls_net_each_tensor and models are about
   the average of the weights, and of the running statistics; 0, as after mls_net_bind: about those that are
   trained. Training goes on with these in any case, and checkpoints and the digest have both. Frozen nodes
   have no average and stay what they are. Errors: ARGUMENT, STATE (not bound; the description has no
   average). */
MLS_DEF mls_status mls_net_use_average(mls_net *net, int use);

/* An inference network quantizes and packs its weights once, not in each call: in the first evaluation
   after mls_net_bind, mls_net_checkpoint_read or mls_net_format, or here. Who writes to mls_net_weights
   afterwards calls this, or the old weights stay in use. Formats whose way depends on what the activation
   holds (groups of more than 2 bits of exponent), and calls after mls_kernel_use has changed the kernel,
   are packed in each call nevertheless. Of other networks nothing is to be done. Errors: STATE, FLOATS,
   NONFINITE. */
MLS_DEF mls_status mls_net_pack(mls_net *net);

/* Shows what quantization does to W, A and E: goes forward and backward as mls_net_gradient, and calls
   see with each operand right after it is quantized, for each node that takes it: its place among the
   six of mls_formats (0: W, 1: A, 2: E, then those with a format of their own in the second product),
   the tensor, and the numbers x that it stands for, in the same layout: mls_measure(tensor, x, ...).
   Both are good until see returns. Changes nothing that training depends on. Errors: as of
   mls_net_gradient; ARGUMENT (no see); STATE (in the middle of an accumulated gradient). */
MLS_DEF mls_status mls_net_inspect(mls_net *net, const float *images, const int32_t *labels,
                                   int32_t count, mls_see *see, void *user);

/* Learning rate of an update. */
typedef enum {
    MLS_SCHEDULE_CONSTANT,
    MLS_SCHEDULE_STEP,
    MLS_SCHEDULE_COSINE
} mls_schedule_kind;
typedef struct mls_schedule {
    mls_schedule_kind kind;
    float rate;            /* at the top */
    int64_t updates;       /* of the whole run (cosine) */
    int64_t warmup;        /* updates of linear warm-up from rate / warmup */
    int64_t milestones[4]; /* updates at which the rate is divided (step); 0: none */
    float factor;          /* by this; 0 means 10 */
} mls_schedule;
/* Of update 0, 1, ...; one below 0 counts as 0. Null: 0. */
MLS_DEF float mls_schedule_rate(const mls_schedule *schedule, int64_t update);

/* 64-bit hash of weights, optimizer state, running statistics, step counts and, if there is one, average;
   where there is no optimizer state, as in an inference network or a frozen node, it counts as 0, and the
   average is what the node has. Before mls_net_bind it is 0. */
MLS_DEF uint64_t mls_net_digest(const mls_net *net);

/* Checkpoints: versioned, checksummed, little-endian, with everything that the next step depends on,
   the network's nodes and formats, and a note of the program's own (settings, epoch, history ...), 0
   bytes if it needs none. Loading checks everything first: on an error (DATA: damaged, truncated,
   foreign, another network or another note size; net->text says which and where) the network stays as
   it was. Formats, batch, momentum and epsilon of batch norm are the caller's, and may differ from the
   file's. note may be null, with size 0: then it is not wanted. Saving in the middle of an accumulated
   gradient is an error (STATE), and so is saving an inference network, which reads all but the optimizer
   state, and the average in place of the weights if there is one. A network that trains refuses the
   checkpoint of another optimizer, or one with an average where it has none, and the other way round
   (DATA); models go into any. Written is format 2, with AdamW or an average format 4; format 1 is read, too,
   and so are models, see mls_net_model_write. The size depends on the formats at hand. */
MLS_DEF size_t mls_net_checkpoint_size(const mls_net *net, size_t note_size);
MLS_DEF mls_status mls_net_checkpoint_write(mls_net *net, const void *note, size_t note_size,
                                            void *to, size_t size);
MLS_DEF mls_status mls_net_checkpoint_read(mls_net *net, const void *from, size_t size, void *note,
                                           size_t note_size);

/* The same without optimizer state, as format 3: half as large; or packed, with the weights of quantized
   layers as the codes that evaluation takes, <2,1> in 4 bits and its groups' share: a fifteenth. Either
   gives the logits of the network that wrote it, bit for bit. mls_net_checkpoint_read takes fp32 weights
   into any network (what trains starts with momentum 0; AdamW and averages begin, and count updates from 0
   on), and packed ones into an inference network whose
   weights have the file's formats (DATA: others do not); mls_net_weights has what the codes stand for
   then, and mls_net_pack quantizes anew what was changed there, and nothing else. Writing packed weights
   ends the life of mls_net_logits.
   Errors: as of a checkpoint; NONFINITE; STATE: fp32 weights of a network that has read packed ones. */
MLS_DEF size_t mls_net_model_size(const mls_net *net, int packed, size_t note_size);
MLS_DEF mls_status mls_net_model_write(mls_net *net, int packed, const void *note, size_t note_size,
                                       void *to, size_t size);

/* What the numbers of a checkpoint are. */
typedef enum mls_content {
    MLS_CONTENT_TRAINING, /* all that training goes on from */
    MLS_CONTENT_FP32,     /* a model */
    MLS_CONTENT_PACKED    /* one with packed weights */
} mls_content;

/* What a checkpoint says of itself, found without a network. */
typedef struct mls_checkpoint {
    int32_t version;       /* of the format: 1, 2 or 4, 3 of a model */
    int32_t nodes, batch;  /* of its network; 0 in format 1, which does not say */
    uint64_t seed;         /* of the run */
    int64_t step, updates; /* done */
    const void *note;      /* the program's, inside the bytes of the checkpoint */
    size_t note_size;
    mls_content content;
    mls_optimizer optimizer; /* of training; and */
    int average;             /* 1: it has an average */
} mls_checkpoint;

/* Checks the size bytes of a checkpoint and says what it is. Errors: ARGUMENT, DATA (text, if not
   null, says what is wrong). */
MLS_DEF mls_status mls_checkpoint_look(const void *from, size_t size, mls_checkpoint *about,
                                       char *text, size_t text_size);

/* The formats that a node had when a checkpoint was written, for a run that changed them: give them to
   mls_net_format. Errors: ARGUMENT (no such node; format 1 does not say), DATA. */
MLS_DEF mls_status mls_checkpoint_formats(const void *from, size_t size, int32_t node,
                                          mls_formats *formats);

/* Builds the network of a checkpoint, with the names and formats of its layers, in the caller's nodes, as
   many as mls_checkpoint_look says. mls_net_plan, mls_net_bind and mls_net_checkpoint_read follow as ever;
   before the plan mls_net_format, mls_net_rate and mls_net_name may. desc may be null: batch, bn_momentum,
   bn_epsilon, optimizer and average are the file's where they are 0, seed, formats and what to quantize are the file's in any
   case; of packed weights it is an inference network. The shape of the input is that of node 0, the number
   of classes that of the last node, see mls_net_layer. Errors: ARGUMENT (numbers of desc, or of batch norm
   in the file, out of range); MEMORY (too few nodes); DATA: net->text says what is wrong with which node,
   or that the file has format 1, which has no nodes, or a layer of mls_net_custom, which it names and
   cannot build. */
MLS_DEF mls_status mls_net_open(mls_net *net, const mls_net_desc *desc, mls_node *nodes,
                                int32_t capacity, const void *from, size_t size);

/* Pictures in memory, [count][h][w][c] bytes, and their labels; null: they have others, see
   mls_data_targets. A view: fill it yourself, or with a loader below and give it back to mls_data_free. */
typedef struct mls_data {
    int32_t count, h, w, c, classes;
    uint8_t *pixels;
    uint8_t *labels;
    char names[256][64]; /* of the classes, if known */
} mls_data;

/* How batches are made. */
typedef struct mls_augment {
    int32_t crop; /* zero-pad by so many pixels and cut the old size out anywhere; 0: no */
    int flip;     /* 1: mirror a picture or not, each with probability 1/2 */
    int shuffle;  /* 1: another order every epoch */
    float mean[4], scale[4]; /* value = (byte - mean) * scale per channel; scale 0 means 1/128, with
                                mean 128 */
} mls_augment;

/* Mean and 1 / standard deviation of each channel (at most 4), into augment. The mean is rounded to
   fp32 first, which costs the deviation a share of about (mean / deviation)^2 * 1e-7. */
MLS_DEF mls_status mls_data_normalise(const mls_data *data, mls_augment *augment);

/* Pictures first .. first + count - 1 of an epoch, a pure function of its arguments: images
   [count][h][w][c], labels [count], which are null where data->labels is. Errors: ARGUMENT, FLOATS. */
MLS_DEF mls_status mls_data_batch(const mls_data *data, const mls_augment *augment, uint64_t seed,
                                  int64_t epoch, int64_t first, int32_t count, float *images,
                                  int32_t *labels);

/* Of the same pictures, which are found by augment->shuffle, seed and epoch: targets [count][outputs] out of
   those of all pictures, of = [data->count][outputs]; or labels out of those of up to 65536 classes, of =
   [data->count]. Errors: ARGUMENT. */
MLS_DEF mls_status mls_data_targets(const mls_data *data, const mls_augment *augment, uint64_t seed,
                                    int64_t epoch, int64_t first, int32_t count, const float *of,
                                    int32_t outputs, float *targets);
MLS_DEF mls_status mls_data_labels_16(const mls_data *data, const mls_augment *augment,
                                      uint64_t seed, int64_t epoch, int64_t first, int32_t count,
                                      const uint16_t *of, int32_t *labels);

/* Picture index of a position 0 .. count - 1 in the shuffled order of an epoch; -1 for others. */
MLS_DEF int32_t mls_data_order(int32_t count, uint64_t seed, int64_t epoch, int32_t position);

/* The built-in ten-class set of 32 x 32 x 3 pictures, generated into caller-owned data->pixels and
   data->labels (count * 3072 and count bytes); part 0 for training, 1 for testing, and so on. */
MLS_DEF mls_status mls_data_synthetic(mls_data *data, int32_t count, uint64_t seed, uint64_t part);

#ifndef MLS_NO_MALLOC
MLS_DEF void mls_data_free(mls_data *data);
#ifndef MLS_NO_STDIO
/* By mls_file_save: path is always a whole checkpoint, old or new. */
MLS_DEF mls_status mls_net_save(mls_net *net, const char *path, const void *note, size_t note_size);
MLS_DEF mls_status mls_net_load(mls_net *net, const char *path, void *note, size_t note_size);
MLS_DEF mls_status mls_net_model_save(mls_net *net, const char *path, int packed, const void *note,
                                      size_t note_size);

/* A whole file in new memory, for mls_checkpoint_look and mls_net_checkpoint_read; mls_file_free takes
   it back. text, if not null, names the file. Errors: ARGUMENT, IO, MEMORY. */
MLS_DEF mls_status mls_file_load(const char *path, void **bytes, size_t *size, char *text,
                                 size_t text_size);
MLS_DEF void mls_file_free(void *bytes);

/* Writes path.tmp, brings it to the disk, and gives it the name path, in place of what had that name
   (POSIX, Windows: in one step, so that path is always a whole file). A link is replaced, not what it
   leads to; POSIX: a device or pipe is refused. One writer of a path at a time. On an error the old file
   stays; text, if not null, names it and says why. Errors: ARGUMENT, IO, MEMORY. */
MLS_DEF mls_status mls_file_save(const char *path, const void *bytes, size_t size, char *text,
                                 size_t text_size);

/* CIFAR-10's binary files in folder: data_batch_1.bin .. 5 (part 0) or test_batch.bin (part 1).
   text, if not null, says what is wrong with which file. Errors: IO, DATA, MEMORY. */
MLS_DEF mls_status mls_data_cifar10(mls_data *data, const char *folder, int part, char *text,
                                    size_t size);

/* Decodes the picture at path to h * w * c bytes. Returns 0, or after writing a reason to text
   anything else. h = w = 0: sets the size to the picture's and decodes nothing. */
typedef int (*mls_decoder)(void *user, const char *path, int32_t *h, int32_t *w, int32_t c,
                           uint8_t *pixels, char *text, size_t size);

/* Why something in a folder of pictures is not read. */
typedef enum mls_left_out {
    MLS_LEFT_OUT_BAD,    /* a picture that the decoder refuses */
    MLS_LEFT_OUT_NAME,   /* a file in a class folder that does not end in .jpg, .jpeg or .png */
    MLS_LEFT_OUT_HIDDEN, /* a name that starts with a dot */
    MLS_LEFT_OUT_NESTED, /* a folder, or what else is not a file, in a class folder */
    MLS_LEFT_OUT_BESIDE, /* a file beside the class folders */
    MLS_LEFT_OUT_EMPTY,  /* a folder without pictures, which is no class */
    MLS_LEFT_OUT_REASONS
} mls_left_out;

/* A folder of pictures. Zero means the default. */
typedef struct mls_folder_desc {
    const char *path;   /* of the folder, with pictures <class>/<file>; required */
    mls_decoder decode; /* required */
    int32_t h, w;       /* of all pictures, after the decoder; 0: the size of the first */
    int skip_bad;       /* 1: pictures that cannot be decoded are left out */
    void *user;         /* for both functions */
    /* Hears of each thing that is left out, and why: text is the decoder's, or says the same as
       the reason. Of bad pictures it hears in any case. */
    void (*left_out)(void *user, mls_left_out reason, const char *path, const char *text);
} mls_folder_desc;

/* Pictures <class>/<file> in a folder, classes and files in byte order of their names. A class is a
   folder that has pictures: files that end in .jpg, .jpeg or .png, in letters of any case. Names
   that start with a dot do not count. POSIX and MinGW only. text, if not null, says what is wrong and
   where. Errors: IO (a folder cannot be read), DATA (pictures that cannot be decoded, unless they are
   skipped, or none of a class can; of several text has the number and the first), MEMORY, SHAPE
   (too many bytes to count), ARGUMENT (no pictures; over 256 classes; a class whose name has over
   63 bytes or control characters). */
MLS_DEF mls_status mls_data_pictures(mls_data *data, const mls_folder_desc *desc, char *text,
                                     size_t size);

/* The same, without the choices. */
MLS_DEF mls_status mls_data_folder(mls_data *data, const char *folder, int32_t h, int32_t w,
                                   mls_decoder decode, void *user, char *text, size_t size);
#endif
#endif

#ifdef __cplusplus
}
#endif
#endif /* MLS_TRAIN_H_INCLUDED */

#ifdef MLS_IMPLEMENTATION
#ifndef MLS__TRAIN_IMPLEMENTED
#define MLS__TRAIN_IMPLEMENTED

#ifndef MLS_TRAIN_HEADER
#define MLS_TRAIN_HEADER "mls_train.h"
#endif
#if defined(MLS_MALLOC) != defined(MLS_FREE)
#error "mls_train.h: define both of MLS_MALLOC and MLS_FREE, or neither"
#endif
#if !defined(MLS_NO_MALLOC) && !defined(MLS_MALLOC)
#include <stdlib.h>
#define MLS_MALLOC(size) malloc(size)
#define MLS_FREE(p)      free(p)
#endif

/* ----------------------------------------------------------------------------------- >>math
   Own functions, so that every machine has the same: fused multiply-adds in a fixed order. The
   exponential is one for vectors, in >>template. */

/* Correctly rounded square root of x >= 0, by integers. */
static float mls__sqrt(float x)
{
    uint32_t u = mls__bits(x);
    int e = (int)(u >> 23);
    uint64_t m = u & 0x7fffffu, root = 0, square;
    if (u == 0 || u >= 0x7f800000u) return x;
    if (e)
        m |= 0x800000u;
    else
        e = 1;
    while (!(m & 0x800000u)) m <<= 1, e--;
    e -= 127 + 23; /* x = m * 2^e */
    m <<= 25;      /* 2^48 <= m < 2^49; the root has 25 bits */
    e -= 25;
    if (e & 1) m <<= 1, e--;
    for (uint64_t bit = (uint64_t)1 << 25; bit; bit >>= 1) {
        square = (root + bit) * (root + bit);
        if (square <= m) root += bit;
    }
    root = root << 1 | (root * root != m); /* a sticky bit rounds the conversion right */
    e = e / 2 - 1;
    return (float)root * mls__pow2(e);
}

/* Natural logarithm of a normal x > 0; infinity and NaN stay. */
static float mls__log(float x)
{
    uint32_t u = mls__bits(x) - 0x3f3504f3u; /* from sqrt(1/2) */
    int e = (int32_t)u >> 23;
    float m = mls__float((u & 0x7fffffu) + 0x3f3504f3u), t, t2, p = 2.0f / 11;
    if (!(x < 3.4e38f)) return x;
    t = (m - 1) / (m + 1);
    t2 = t * t;
    p = mls__fma(p, t2, 2.0f / 9);
    p = mls__fma(p, t2, 2.0f / 7);
    p = mls__fma(p, t2, 2.0f / 5);
    p = mls__fma(p, t2, 2.0f / 3);
    p = mls__fma(p, t2, 2.0f);
    return mls__fma((float)e, 0.693147181f, p * t);
}

/* (1 + cos(pi t)) / 2 for 0 <= t <= 1. */
static float mls__half_cosine(float t)
{
    float u = t < 0.5f ? t : 1 - t, x = 3.14159265f * u, x2 = x * x, p = -1.0f / 3628800;
    p = mls__fma(p, x2, 1.0f / 40320);
    p = mls__fma(p, x2, -1.0f / 720);
    p = mls__fma(p, x2, 1.0f / 24);
    p = mls__fma(p, x2, -0.5f);
    p = mls__fma(p, x2, 1.0f);
    return t < 0.5f ? mls__fma(p, 0.5f, 0.5f) : mls__fma(p, -0.5f, 0.5f);
}

/* Nearly normal with variance 1: twelve uniforms of 16 bits, summed as integers. */
static float mls__normal(uint64_t seed, uint64_t index)
{
    int32_t sum = 0;
    for (uint64_t i = 0; i < 12; i++) sum += (int32_t)mls_random16(seed, index * 12 + i);
    return (float)(2 * sum - 12 * 65535) * (1.0f / 131072);
}

/* ---------------------------------------------------------------------------------- >>build */

/* Operands of a convolution, in the order of mls_formats: three roles, each in its first product and in
   its second: W in backward-data, A and E in backward-weight. */
enum {
    MLS__W,
    MLS__A,
    MLS__E,
    MLS__W_IN_DATA,
    MLS__A_IN_WEIGHT,
    MLS__E_IN_WEIGHT
};

/* Buffers of a node. */
enum {
    MLS__VALUE,
    MLS__GRAD, /* output and its gradient, fp32 */
    MLS__KEEP,
    MLS__SUMS,
    MLS__QUANTIZED, /* and five more: operands, for each image its tensor and the memory of it */
    MLS__DEQUANTIZED = MLS__QUANTIZED + 6, /* and five more: the same as fp32, for a product with an
                                              fp32 operand */
    MLS__PACKED = MLS__DEQUANTIZED + 6,    /* in inference, weights as mls_conv_keep has them */
    MLS__OPERAND_BUFFERS = MLS__PACKED + 1 - MLS__QUANTIZED
};

/* How a node's gradient reaches an input. */
enum {
    MLS__NOTHING,
    MLS__WRITE,
    MLS__ACCUMULATE,
    MLS__HAND_OVER
};

/* Flags of layers: backward only hands dy on; dx[0] may lie where dy does, as with MLS_IN_PLACE, but not y
   where x does. */
enum {
    MLS__PASSES = 1 << 8,
    MLS__DX_IN_PLACE = 1 << 9
};

/* When a step is done, too: it depends on weights and states alone. Inference does it once, see mls__pack. */
enum {
    MLS__IF_WEIGHTS = 1 << 25
};

/* What more a convolution uses: the codes of W, of A and of E in both products, of W in backward-data,
   and the operands of each direction. */
enum {
    MLS__CODES_W = 1 << 8,
    MLS__CODES_A = 1 << 9,
    MLS__CODES_E = 1 << 10,
    MLS__CODES_W_IN_DATA = 1 << 11,
    MLS__FOR_FORWARD = 1 << 12,
    MLS__FOR_DATA = 1 << 13,
    MLS__FOR_WEIGHT = 1 << 14,
    MLS__NORM_SUMS = 1 << 15 /* of the batch norm before it */
};

static int mls__quantized(mls_format f)
{
    return f.ex + f.mx > 0;
}

/* Sets the first error of a network. */
static mls_status mls__fail(mls_net *net, mls_status status, int32_t node, const char *what)
{
    net->status = status;
    net->text[0] = 0;
    if (node >= 0) {
        mls__say(net->text, sizeof net->text, "node ");
        mls__say_int(net->text, sizeof net->text, node);
        mls__say(net->text, sizeof net->text, " (");
        mls__say(net->text, sizeof net->text, net->nodes[node].kind->name);
        mls__say(net->text, sizeof net->text, "): ");
    }
    mls__say(net->text, sizeof net->text, what ? what : mls_status_string(status));
    return status;
}

/* Checks what a description says of the optimizer, and sets what it does not say. */
static mls_status mls__begin_optimizer(mls_net *net)
{
    mls_net_desc *d = &net->desc;
    if (d->inference) d->optimizer = MLS_SGD, d->average = 0;
    if (d->beta2 == 0) d->beta2 = 0.999f;
    if (d->epsilon == 0) d->epsilon = 1e-8f;
    if (d->average_decay == 0) d->average_decay = 0.999f;
    if ((uint32_t)d->optimizer > MLS_ADAMW) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "no such optimizer");
    }
    if (!(d->beta2 > 0 && d->beta2 < 1 && d->epsilon >= 1e-30f && d->epsilon - d->epsilon == 0)) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "beta2 or epsilon out of range");
    }
    if (!(d->clip >= 0 && d->clip - d->clip == 0)) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "clip is below 0 or not finite");
    }
    if (d->average_decay > 0 && d->average_decay < 1) return MLS_OK;
    return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "average_decay out of range");
}

MLS_DEF mls_status mls_net_begin(mls_net *net, const mls_net_desc *desc, mls_node *nodes,
                                 int32_t capacity)
{
    if (!net) return MLS_ERROR_ARGUMENT;
    memset(net, 0, sizeof *net);
    if (!desc || !nodes || capacity < 1) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, 0);
    net->desc = *desc;
    net->nodes = nodes;
    net->capacity = capacity;
    if (desc->bn_momentum == 0) net->desc.bn_momentum = 0.1f;
    if (desc->bn_epsilon == 0) net->desc.bn_epsilon = 1e-5f;
    if (desc->batch < 1) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "batch must be positive");
    if (!(net->desc.bn_momentum > 0) || net->desc.bn_momentum > 1 || !(net->desc.bn_epsilon > 0)) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "bn_momentum or bn_epsilon out of range");
    }
    return mls__begin_optimizer(net);
}

/* Forgets the error of an earlier call, once the network is built. */
static void mls__clear(mls_net *net)
{
    if (!net->planned) return;
    net->status = MLS_OK;
    net->text[0] = 0;
}

/* Starts a call that needs a bound network. Before mls_net_plan the error of a build call stays, as it
   says why; a call that only comes too early leaves none, since the network can still be planned. */
static mls_status mls__bound(mls_net *net)
{
    mls__clear(net);
    if (net->planned == 2 || net->status != MLS_OK) return net->status;
    mls__fail(net, MLS_ERROR_STATE, -1, "mls_net_bind comes first");
    if (!net->planned) net->status = MLS_OK;
    return MLS_ERROR_STATE;
}

/* A new node with so many inputs, x and y, or null after an error. */
static mls_node *mls__node_new(mls_net *net, const mls_layer_kind *kind, int inputs, int32_t x,
                               int32_t y)
{
    const int32_t in[2] = {x, y};
    mls_node *node;
    if (!net || net->status != MLS_OK) return 0;
    if (net->planned) {
        mls__fail(net, MLS_ERROR_STATE, -1, "the network is planned: nothing can be added");
        return 0;
    }
    if (net->count == net->capacity) {
        mls__fail(net, MLS_ERROR_MEMORY, -1, "more nodes than mls_net_begin was given");
        return 0;
    }
    for (int j = 0; j < inputs; j++) {
        if (in[j] < 0 || in[j] >= net->count || net->nodes[in[j]].kind->flags & MLS_LOSS) {
            mls__fail(net, MLS_ERROR_ARGUMENT, -1, "an input node does not exist or is the loss");
            return 0;
        }
    }
    node = &net->nodes[net->count];
    memset(node, 0, sizeof *node);
    node->kind = kind, node->rate = 1;
    for (int j = 0; j < 2; j++) {
        node->in[j] = j < inputs ? in[j] : -1;
        if (j < inputs) net->nodes[in[j]].consumers++;
    }
    return node;
}

/* Accepts the node under construction, or refuses it. */
static int32_t mls__node_done(mls_net *net, mls_node *node)
{
    const char *wrong = 0;
    mls_layer_sizes sizes;
    mls_work work;
    size_t most;
    if (!node) return -1;
    most = SIZE_MAX / 64 / (size_t)net->desc.batch;
    memset(&sizes, 0, sizeof sizes);
    memset(&work, 0, sizeof work);
    work.net = net, work.node = net->count++;
    work.parameters = node->parameters;
    for (int j = 0; j < 2 && node->in[j] >= 0; j++) work.in[j] = net->nodes[node->in[j]].shape;
    sizes.shape = work.in[0];
    if (node->kind->shape) wrong = node->kind->shape(&work, &sizes);
    node->shape = sizes.shape, node->shape.n = net->desc.batch;
    node->weights = sizes.weights, node->seconds = sizes.seconds;
    node->states = sizes.state, node->constants = sizes.constants;
    node->keep = sizes.keep, node->sums = sizes.sums;
    if (!wrong && node->kind->flags & MLS_IN_PLACE && !mls__same_shape(work.in[0], sizes.shape)) {
        wrong = "it is in place, but its output has another shape than its input";
    }
    if (!wrong && (sizes.keep > most || sizes.sums > most)) wrong = "it needs too much memory";
    if (!wrong && !mls__elements(node->shape)) wrong = "its output is too large to address";
    if (!wrong) return net->count - 1;
    mls__fail(net, MLS_ERROR_SHAPE, net->count - 1, wrong);
    return -1;
}

/* A layer without parameters. */
static int32_t mls__layer(mls_net *net, const mls_layer_kind *kind, int inputs, int32_t x,
                          int32_t y)
{
    return mls__node_done(net, mls__node_new(net, kind, inputs, x, y));
}

/* A layer with an amount. */
static int32_t mls__layer_of(mls_net *net, const mls_layer_kind *kind, int32_t x, float amount)
{
    mls_node *node = mls__node_new(net, kind, 1, x, -1);
    if (!node) return -1;
    node->amount = amount;
    if (amount >= 0 && amount < 1) return mls__node_done(net, node);
    mls__fail(net, MLS_ERROR_ARGUMENT, net->count, "its amount is not from 0 to less than 1");
    return -1;
}

/* Whether a node is a convolution or a linear layer. */
static int mls__convolves(const mls_node *node)
{
    return node->conv.c_out > 0;
}

MLS_DEF mls_status mls_net_layer(const mls_net *net, int32_t index, mls_layer *layer)
{
    const mls_node *node;
    if (!net || !layer || index < 0 || index >= net->count) return MLS_ERROR_ARGUMENT;
    node = &net->nodes[index];
    memset(layer, 0, sizeof *layer);
    layer->kind = node->kind->name;
    layer->shape = node->shape;
    layer->inputs[0] = node->in[0], layer->inputs[1] = node->in[1];
    layer->weights = (int64_t)(node->weights + node->seconds);
    layer->name = node->name, layer->epsilon = net->desc.bn_epsilon;
    layer->window = node->conv, layer->amount = node->amount;
    if (mls__convolves(node)) {
        layer->macs = (int64_t)(node->weights * (uint64_t)node->shape.h * (uint64_t)node->shape.w);
        layer->formats = mls__formats_gather(node->format);
    } else if (node->in[0] >= 0) {
        layer->window.in = net->nodes[node->in[0]].shape;
        layer->window.kh = layer->window.kw = node->size;
        layer->window.stride = node->stride, layer->window.pad = node->pad;
    }
    return MLS_OK;
}

static int mls__name_letter(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-' || c == '.';
}

/* What is wrong with a name of node index, of which there are MLS__NAME bytes or an end; null: nothing. */
static const char *mls__name_wrong(const mls_net *net, int32_t index, const char *name)
{
    size_t n = 0;
    while (n < MLS__NAME && mls__name_letter(name[n])) n++;
    if (n == 0 || n == MLS__NAME || name[n]) {
        return "a name has 1 to 47 letters, digits, '_', '-' and '.'";
    }
    if (strncmp(name, "node", 4) == 0)
        return "names that start with node are those of nodes without";
    for (int32_t i = 0; i < net->count; i++) {
        if (i != index && strcmp(net->nodes[i].name, name) == 0)
            return "another node has this name";
    }
    return 0;
}

MLS_DEF int32_t mls_net_name(mls_net *net, int32_t index, const char *name)
{
    const char *wrong = 0;
    if (!net || net->status != MLS_OK) return -1;
    if (net->planned) {
        mls__fail(net, MLS_ERROR_STATE, -1, "the network is planned: nothing can be named");
    } else if (!name || index < 0 || index >= net->count) {
        mls__fail(net, MLS_ERROR_ARGUMENT, -1, "mls_net_name of no node, or without a name");
    } else if ((wrong = mls__name_wrong(net, index, name)) != 0) {
        mls__fail(net, MLS_ERROR_ARGUMENT, index, wrong);
    } else {
        memmove(net->nodes[index].name, name, strlen(name) + 1); /* it may be the one there */
    }
    return net->status == MLS_OK ? index : -1;
}

/* ------------------------------------------------------------------------------- >>kernels
   The arithmetic of the fp32 layers, one image at a time, for every vector unit (>>template). */

/* What the numbers of an update have in common. */
typedef struct mls__update {
    mls_sgd sgd;
    float share;                         /* what of the gradient's sum counts */
    float beta2, epsilon, first, second; /* of AdamW; 1 - momentum^t, sqrt(1 - beta2^t) */
    float fresh;                         /* share of the new weights in their average */
} mls__update;

/* Activations: rows of mls__activations, and of the kernels. */
enum {
    MLS__LEAKY_RELU,
    MLS__SIGMOID,
    MLS__GELU,
    MLS__ACTIVATIONS
};

typedef struct mls__layers {
    /* sum[ch], square[ch]: sums over the pixels, in double; a product of floats is exact there */
    void (*stats)(const float *x, size_t pixels, size_t c, double *sum, double *square);
    /* the least and the largest x of each channel: ends[ch], ends[c + ch]; a NaN is one of them */
    void (*ends)(const float *x, size_t pixels, size_t c, float *ends);
    /* y = x * scale + shift */
    void (*scale)(const float *x, size_t pixels, size_t c, const float *scale, const float *shift,
                  float *y);
    /* sum of dy, and of dy * (x - mean) */
    void (*reduce)(const float *dy, const float *x, size_t pixels, size_t c, const float *mean,
                   double *sum, double *product);
    /* dx = dy * a + (x * b + d) */
    void (*scale_back)(const float *dy, const float *x, size_t pixels, size_t c, const float *a,
                       const float *b, const float *d, float *dx);
    /* keeps the positive; mask: a bit for each element */
    void (*relu)(const float *x, size_t count, float *y, uint8_t *mask);
    void (*relu_back)(const float *dy, size_t count, const uint8_t *mask, float *dx);
    void (*add)(const float *a, const float *b, size_t count, float *y);
    void (*activate[MLS__ACTIVATIONS])(const float *x, size_t count, float amount, float *y);
    /* dx = dy * slope; from: y, or x where y does not tell the slope */
    void (*activate_back[MLS__ACTIVATIONS])(const float *dy, const float *from, size_t count,
                                            float amount, float *dx);
    /* y[ch] = the largest x[ch] of a window of h x w pixels that begins at element first, with rows so many
       elements apart; place[ch], if not null: where it is */
    void (*max_pool)(const float *x, size_t first, size_t h, size_t w, size_t row, size_t c,
                     float *y, uint32_t *place);
    /* y = x * scale, or 0 where the random bits of an element, which keys choose, are below dropped */
    void (*dropout)(const float *x, size_t count, mls__keys keys, int32_t dropped, float scale,
                    float *y);
    void (*sgd)(float *w, float *g, float *v, size_t count, float share, const mls_sgd *s);
    void (*adamw)(float *w, float *g, float *m, float *v, size_t count, const mls__update *u);
    /* a = a + fresh * (x - a) */
    void (*average)(float *a, const float *x, size_t count, float fresh);
} mls__layers;

#define MLS__EACH MLS_TRAIN_HEADER
#include MLS_HEADER
#undef MLS__EACH

#define MLS__ROW(unit, vectors)                                                               \
    {mls__bn_stats_##vectors,                                                                 \
     mls__bn_ends_##vectors,                                                                  \
     mls__bn_scale_##vectors,                                                                 \
     mls__bn_reduce_##vectors,                                                                \
     mls__bn_back_##vectors,                                                                  \
     mls__relu_##vectors,                                                                     \
     mls__relu_back_##vectors,                                                                \
     mls__add_##vectors,                                                                      \
     {mls__leaky_relu_##vectors, mls__sigmoid_##vectors, mls__gelu_##vectors},                \
     {mls__leaky_relu_back_##vectors, mls__sigmoid_back_##vectors, mls__gelu_back_##vectors}, \
     mls__max_pool_##vectors,                                                                 \
     mls__dropout_##vectors,                                                                  \
     mls__sgd_##vectors,                                                                      \
     mls__adamw_##vectors,                                                                    \
     mls__average_##vectors},
static const mls__layers mls__layer_kernels[] = {MLS__UNITS(MLS__ROW)};
#undef MLS__ROW

/* ----------------------------------------------------------------------------------- >>work
   Where things are, and what the step of a layer is given. */

static size_t mls__up(size_t floats)
{
    return mls__align(floats, MLS__ALIGN / sizeof(float));
}
static float *mls__floats(const mls_net *net, size_t at)
{
    return (float *)(void *)(net->arena + at);
}
/* The network that has the weights, and the first of them. */
static const mls_net *mls__owner(const mls_net *net)
{
    return net->desc.weights_of ? net->desc.weights_of : net;
}
static float *mls__trained(const mls_net *net)
{
    return mls__floats(mls__owner(net), 0);
}
/* The numbers of a network in its arena: weights, of the trained nodes first; of these the gradients and what
   the optimizer keeps, momentum and AdamW's second moments; running statistics; and, if it has one, the
   average of trained weights and of statistics. */
static size_t mls__states_at(const mls_net *net)
{
    const size_t kept = net->desc.optimizer == MLS_ADAMW ? 3 : 2;
    return net->parameters + kept * net->trained;
}
static size_t mls__average_at(const mls_net *net)
{
    return mls__states_at(net) + net->states;
}
static size_t mls__numbers_count(const mls_net *net)
{
    return mls__average_at(net) + (net->desc.average ? net->trained + net->states : 0);
}
/* The weights of a node, or their average, if it has one. */
static float *mls__node_weights(const mls_net *net, const mls_node *node, int average)
{
    const size_t before = average && node->trained ? mls__average_at(net) : 0;
    return mls__trained(net) + before + node->weights_at;
}
/* Those that a pass takes. */
static float *mls__weights_at(const mls_net *net, const mls_node *node)
{
    return mls__node_weights(net, node, net->averaged && !net->training);
}
/* Whether there are numbers: those of another network, where it is bound and has as many. */
static int mls__has_numbers(const mls_net *net)
{
    const mls_net *owner = mls__owner(net);
    return net->planned == 2 && owner->planned == 2 && owner->parameters == net->parameters &&
           owner->states == net->states;
}
/* Null: it is not trained. */
static float *mls__gradients_at(const mls_net *net, const mls_node *node)
{
    return node->trained ? mls__node_weights(net, node, 0) + net->parameters : 0;
}
/* As with weights. */
static float *mls__node_states(const mls_net *net, const mls_node *node, int average)
{
    const int averaged = average && node->rate != 0;
    const size_t before = averaged ? mls__average_at(net) + net->trained : mls__states_at(net);
    return mls__trained(net) + before + node->states_at;
}
static float *mls__state_at(const mls_net *net, const mls_node *node)
{
    return mls__node_states(net, node, net->averaged && !net->training);
}
static float *mls__constants_at(const mls_net *net, const mls_node *node)
{
    return mls__floats(net, net->constants_at) + node->constants_at;
}
static void *mls__buffer_at(const mls_net *net, int32_t node, int which)
{
    const mls__buffer *b = &net->nodes[node].buffer[which];
    if (b->last >= 0) return net->arena + net->values_at + b->at;
    net = mls__owner(net);
    return net->arena + net->packed_at + b->at;
}
static size_t mls__buffer_count(const mls_net *net)
{
    return (size_t)net->count * MLS__BUFFERS;
}
static mls__buffer *mls__buffer_number(const mls_net *net, size_t k)
{
    return &net->nodes[k / MLS__BUFFERS].buffer[k % MLS__BUFFERS];
}
/* Output of a node, and its gradient, for image n. */
static float *mls__value(const mls_net *net, int32_t i, int32_t n)
{
    const mls_node *node = &net->nodes[i];
    size_t at = (size_t)n * mls__image(node->shape);
    if (node->in[0] < 0) return (float *)(uintptr_t)(net->x + at); /* never written */
    return (float *)mls__buffer_at(net, node->value_of, MLS__VALUE) + at;
}
static float *mls__grad(const mls_net *net, int32_t i, int32_t n)
{
    const mls_node *node = &net->nodes[i];
    return (float *)mls__buffer_at(net, node->grad_of, MLS__GRAD) +
           (size_t)n * mls__image(node->shape);
}
/* What an operand is rounded by in a step of training, or in evaluation: step UINT64_MAX. */
static uint64_t mls__seed_of(const mls_net *net, uint64_t step, int32_t node, int operand)
{
    const uint64_t role = (uint64_t)operand % MLS__ROLES;
    uint64_t seed = mls__owner(net)->desc.seed;
    seed = mls_seed(mls_seed(seed, step), (uint64_t)node * 4 + role);
    return operand < MLS__ROLES ? seed : mls_seed(seed, 1);
}
static uint64_t mls__rounding_seed(const mls_net *net, int32_t node, int operand)
{
    return mls__seed_of(net, net->training ? (uint64_t)net->step : UINT64_MAX, node, operand);
}

/* The shape for the images at hand. */
static mls_shape mls__shape_now(const mls_net *net, mls_shape s)
{
    s.n = net->images;
    return s;
}

/* Sets what any function of a layer is given of node i. */
static void mls__work_of(mls_work *w, mls_net *net, int32_t i)
{
    const mls_node *node = &net->nodes[i];
    memset(w, 0, sizeof *w);
    w->net = net, w->node = i, w->parameters = node->parameters;
    for (int j = 0; j < 2 && node->in[j] >= 0; j++) {
        w->in[j] = mls__shape_now(net, net->nodes[node->in[j]].shape);
    }
    w->out = mls__shape_now(net, node->shape);
    w->training = net->training;
    w->frozen = node->rate == 0;
}

/* And its numbers, when there is an arena. */
static void mls__work_numbers(mls_work *w)
{
    mls_net *net = w->net;
    const mls_node *node = &net->nodes[w->node];
    w->weights[0] = mls__weights_at(net, node);
    w->weights[1] = w->weights[0] + mls__up(node->weights);
    w->state = mls__state_at(net, node), w->constants = mls__constants_at(net, node);
}

/* Where a gradient for input j is to be written: in place, or into the thread's own memory, from where
   mls__gave adds it. */
static float *mls__give(const mls_work *w, int j)
{
    const mls_net *net = w->net;
    const mls_node *node = &net->nodes[w->node];
    size_t before = j && node->give[0] == MLS__ACCUMULATE ? mls__image(w->in[0]) : 0;
    if (node->give[j] == MLS__NOTHING) return 0;
    if (node->give[j] != MLS__ACCUMULATE) return mls__grad(net, node->in[j], w->image);
    if (node->kind->flags & MLS__PASSES) return mls__grad(net, w->node, w->image);
    return mls__floats(net, net->scratch_at + (size_t)w->thread * net->scratch_step) + before;
}

static void mls__gave(const mls_work *w)
{
    const mls_net *net = w->net;
    const mls_node *node = &net->nodes[w->node];
    for (int j = 0; j < 2; j++) {
        if (w->dx[j] && node->give[j] == MLS__ACCUMULATE) {
            float *to = mls__grad(net, node->in[j], w->image);
            mls__layer_kernels[mls__unit()].add(to, w->dx[j], mls__image(w->in[j]), to);
        }
    }
}

/* Runs a step of node i on image n. */
static void mls__step_run(mls_net *net, const mls_step *step, int32_t i, int32_t n, int32_t thread)
{
    const mls_node *node = &net->nodes[i];
    const uint32_t uses = step->reads | step->writes;
    const size_t image = (size_t)n;
    mls_work w;
    mls__work_of(&w, net, i);
    mls__work_numbers(&w);
    w.uses = uses, w.image = n, w.thread = thread;
    w.labels = net->labels, w.targets = net->targets;
    for (int j = 0; j < 2 && node->in[j] >= 0; j++) {
        if (uses & MLS_X) w.x[j] = mls__value(net, node->in[j], n);
        if (uses & MLS_DX && net->training) w.dx[j] = mls__give(&w, j);
    }
    if (uses & MLS_Y) w.y = mls__value(net, i, n);
    if (uses & MLS_DY) w.dy = mls__grad(net, i, n);
    if (uses & MLS_KEEP && node->buffer[MLS__KEEP].size) {
        w.keep = (uint8_t *)mls__buffer_at(net, i, MLS__KEEP) + image * node->keep;
    }
    if (uses & MLS_SUMS && node->buffer[MLS__SUMS].size) {
        w.sums = (double *)mls__buffer_at(net, i, MLS__SUMS) + image * node->sums;
    }
    if (step->serial == MLS_SERIAL || step->serial == MLS_AFTER) {
        w.result = &net->result;
        w.gradients[0] = mls__gradients_at(net, node);
        if (node->trained) w.gradients[1] = w.gradients[0] + mls__up(node->weights);
    }
    step->run(&w);
    if (uses & MLS_DX) mls__gave(&w);
}

/* --------------------------------------------------------------------------------- >>layers
   Each layer: its shape, first numbers, forward, backward, its row, and how it is built. To add one,
   write such a section and a prototype. */

static float mls__amount(const mls_work *w)
{
    return w->net->nodes[w->node].amount;
}

/* Pixels of an image, and where one of them starts. */
static size_t mls__pixels(mls_shape s)
{
    return (size_t)s.h * (size_t)s.w;
}
static size_t mls__pixel(mls_shape s, int32_t y, int32_t x)
{
    return ((size_t)y * (size_t)s.w + (size_t)x) * (size_t)s.c;
}

/* ---- input */

static const char *mls__input_shape(const mls_work *w, mls_layer_sizes *s)
{
    s->shape = w->net->nodes[w->node].shape;
    if (s->shape.h < 1 || s->shape.w < 1 || s->shape.c < 1) {
        return "height, width and channels must be positive";
    }
    return 0;
}

static const mls_layer_kind mls__input = {"input", 0, mls__input_shape, 0, 0, 0, 0, 0};

MLS_DEF int32_t mls_net_input(mls_net *net, int32_t h, int32_t w, int32_t c)
{
    mls_node *node = mls__node_new(net, &mls__input, 0, -1, -1);
    if (!node) return -1;
    if (net->count) {
        mls__fail(net, MLS_ERROR_STATE, -1, "the input must be the first node");
        return -1;
    }
    node->shape.n = net->desc.batch;
    node->shape.h = h, node->shape.w = w, node->shape.c = c;
    return mls__node_done(net, node);
}

/* The row of a layer that works image by image: forward reads x and writes y, backward reads dy and writes
   dx. kept: MLS_KEEP, if forward keeps something for backward. */
#define MLS__OF_IMAGES(layer, name, flags, kept)                                      \
    static const mls_step mls__##layer##_forward_steps[] = {                          \
        {0, MLS_EACH, MLS_X, MLS_Y | (kept), mls__##layer##_forward}, MLS_STEPS_END}; \
    static const mls_step mls__##layer##_backward_steps[] = {                         \
        {MLS_IF_WANTED, MLS_EACH, MLS_DY | (kept), MLS_DX, mls__##layer##_backward},  \
        MLS_STEPS_END};                                                               \
    static const mls_layer_kind mls__##layer = {name,                                 \
                                                flags,                                \
                                                mls__##layer##_shape,                 \
                                                0,                                    \
                                                mls__##layer##_forward_steps,         \
                                                mls__##layer##_backward_steps,        \
                                                0,                                    \
                                                0}

/* ---- relu */

static const char *mls__relu_shape(const mls_work *w, mls_layer_sizes *s)
{
    (void)w;
    s->keep = (mls__image(s->shape) + 7) / 8; /* a bit for each element: it was positive */
    return 0;
}

static void mls__relu_forward(const mls_work *w)
{
    mls__layer_kernels[mls__unit()].relu(w->x[0], mls__image(w->out), w->y, (uint8_t *)w->keep);
}

static void mls__relu_backward(const mls_work *w)
{
    mls__layer_kernels[mls__unit()].relu_back(w->dy, mls__image(w->out), (uint8_t *)w->keep,
                                              w->dx[0]);
}

MLS__OF_IMAGES(relu, "relu", MLS_IN_PLACE, MLS_KEEP);

MLS_DEF int32_t mls_net_relu(mls_net *net, int32_t x)
{
    return mls__layer(net, &mls__relu, 1, x, -1);
}

/* ---- activations: one formula each, in the kernels. Backward takes the slope from y where y tells it, so
   that y may lie where x does. */

static int mls__activation_of(const mls_work *w);

static void mls__activation_forward(const mls_work *w)
{
    const mls__layers *k = &mls__layer_kernels[mls__unit()];
    k->activate[mls__activation_of(w)](w->x[0], mls__image(w->out), mls__amount(w), w->y);
}

static void mls__activation_backward(const mls_work *w)
{
    const mls__layers *k = &mls__layer_kernels[mls__unit()];
    k->activate_back[mls__activation_of(w)](w->dy, w->y ? w->y : w->x[0], mls__image(w->out),
                                            mls__amount(w), w->dx[0]);
}

static const mls_step mls__activation_steps[] = {
    {0, MLS_EACH, MLS_X, MLS_Y, mls__activation_forward}, MLS_STEPS_END};
static const mls_step mls__activation_steps_by_y[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_DY | MLS_Y, MLS_DX, mls__activation_backward}, MLS_STEPS_END};
static const mls_step mls__activation_steps_by_x[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_DY | MLS_X, MLS_DX, mls__activation_backward}, MLS_STEPS_END};
static const mls_layer_kind mls__activations[MLS__ACTIVATIONS] = {
    {"leaky relu", MLS_IN_PLACE, 0, 0, mls__activation_steps, mls__activation_steps_by_y, 0, 0},
    {"sigmoid", MLS_IN_PLACE, 0, 0, mls__activation_steps, mls__activation_steps_by_y, 0, 0},
    {"gelu", MLS__DX_IN_PLACE, 0, 0, mls__activation_steps, mls__activation_steps_by_x, 0, 0}};

static int mls__activation_of(const mls_work *w)
{
    return (int)(w->net->nodes[w->node].kind - mls__activations);
}

MLS_DEF int32_t mls_net_leaky_relu(mls_net *net, int32_t x, float slope)
{
    return mls__layer_of(net, &mls__activations[MLS__LEAKY_RELU], x, slope);
}

MLS_DEF int32_t mls_net_sigmoid(mls_net *net, int32_t x)
{
    return mls__layer(net, &mls__activations[MLS__SIGMOID], 1, x, -1);
}

MLS_DEF int32_t mls_net_gelu(mls_net *net, int32_t x)
{
    return mls__layer(net, &mls__activations[MLS__GELU], 1, x, -1);
}

/* ---- dropout: backward asks for the same random bits again */

static void mls__dropout_run(const mls_work *w, const float *from, float *to)
{
    const mls_net *net = w->net;
    const uint64_t step = mls_seed(net->desc.seed, (uint64_t)net->step);
    const uint64_t node = mls_seed(step, (uint64_t)w->node * 4 + MLS__ROLES); /* see mls__seed_of */
    const mls__keys keys = mls__random_keys(mls_seed(node, (uint64_t)w->image), 0);
    const int32_t dropped = (int32_t)(mls__amount(w) * 65536);
    mls__layer_kernels[mls__unit()].dropout(from, mls__image(w->out), keys, dropped,
                                            65536 / (float)(65536 - dropped), to);
}

static void mls__dropout_forward(const mls_work *w)
{
    if (w->training)
        mls__dropout_run(w, w->x[0], w->y);
    else if (w->y != w->x[0])
        memcpy(w->y, w->x[0], mls__image(w->out) * sizeof(float));
}

static void mls__dropout_backward(const mls_work *w)
{
    mls__dropout_run(w, w->dy, w->dx[0]);
}

static const mls_step mls__dropout_forward_steps[] = {
    {0, MLS_EACH, MLS_X, MLS_Y, mls__dropout_forward}, MLS_STEPS_END};
static const mls_step mls__dropout_backward_steps[] = {
    {MLS_IF_WANTED, MLS_EACH, MLS_DY, MLS_DX, mls__dropout_backward}, MLS_STEPS_END};
static const mls_layer_kind mls__dropout = {
    "dropout", MLS_IN_PLACE, 0, 0, mls__dropout_forward_steps, mls__dropout_backward_steps, 0, 0};

MLS_DEF int32_t mls_net_dropout(mls_net *net, int32_t x, float p)
{
    return mls__layer_of(net, &mls__dropout, x, p);
}

/* ---- add */

static const char *mls__add_shape(const mls_work *w, mls_layer_sizes *s)
{
    (void)s;
    return mls__same_shape(w->in[0], w->in[1]) ? 0 : "its inputs differ in shape";
}

static void mls__add_forward(const mls_work *w)
{
    mls__layer_kernels[mls__unit()].add(w->x[0], w->x[1], mls__image(w->out), w->y);
}

static void mls__add_backward(const mls_work *w)
{
    for (int j = 0; j < 2; j++) {
        if (w->dx[j] && w->dx[j] != w->dy) {
            memcpy(w->dx[j], w->dy, mls__image(w->out) * sizeof(float));
        }
    }
}

MLS__OF_IMAGES(add, "add", MLS_IN_PLACE | MLS__PASSES, 0);

MLS_DEF int32_t mls_net_add(mls_net *net, int32_t x, int32_t y)
{
    return mls__layer(net, &mls__add, 2, x, y);
}

/* ---- concat: the channels of the first input, then those of the second */

static const char *mls__concat_shape(const mls_work *w, mls_layer_sizes *s)
{
    const mls_shape a = w->in[0], b = w->in[1];
    if (a.h != b.h || a.w != b.w) return "its inputs differ in height or width";
    if (a.c > INT32_MAX - b.c) return "it would have too many channels";
    s->shape.c = a.c + b.c;
    return 0;
}

static void mls__concat_forward(const mls_work *w)
{
    const size_t a = (size_t)w->in[0].c, b = (size_t)w->in[1].c, pixels = mls__pixels(w->out);
    for (size_t p = 0; p < pixels; p++) {
        memcpy(w->y + p * (a + b), w->x[0] + p * a, a * sizeof(float));
        memcpy(w->y + p * (a + b) + a, w->x[1] + p * b, b * sizeof(float));
    }
}

static void mls__concat_backward(const mls_work *w)
{
    const size_t a = (size_t)w->in[0].c, b = (size_t)w->in[1].c, pixels = mls__pixels(w->out);
    for (size_t p = 0; p < pixels; p++) {
        const float *dy = w->dy + p * (a + b);
        if (w->dx[0]) memcpy(w->dx[0] + p * a, dy, a * sizeof(float));
        if (w->dx[1]) memcpy(w->dx[1] + p * b, dy + a, b * sizeof(float));
    }
}

MLS__OF_IMAGES(concat, "concat", 0, 0);

MLS_DEF int32_t mls_net_concat(mls_net *net, int32_t x, int32_t y)
{
    return mls__layer(net, &mls__concat, 2, x, y);
}

/* ---- pools: windows of size x size, what is outside the image left out */

static const char *mls__average_pool_shape(const mls_work *w, mls_layer_sizes *s)
{
    const mls_node *node = &w->net->nodes[w->node];
    const char *wrong;
    mls_conv window;
    memset(&window, 0, sizeof window);
    window.in = w->in[0];
    window.c_out = 1, window.kh = window.kw = node->size;
    window.stride = node->stride, window.pad = node->pad;
    wrong = mls_conv_wrong(&window);
    if (!wrong && node->size > 255) wrong = "its window is larger than 255";
    if (!wrong && node->pad >= node->size) wrong = "its padding must be smaller than its window";
    s->shape = mls_conv_output(&window);
    s->shape.c = w->in[0].c;
    return wrong;
}

static int32_t mls__pool(mls_net *net, const mls_layer_kind *kind, int32_t x, int32_t size,
                         int32_t stride, int32_t pad)
{
    mls_node *node = mls__node_new(net, kind, 1, x, -1);
    if (!node) return -1;
    node->size = size, node->stride = stride ? stride : size, node->pad = pad;
    return mls__node_done(net, node);
}

/* The part of the input that output pixel oy, ox covers: rows and columns, the last ones not. */
typedef struct mls__window {
    int32_t y0, y1, x0, x1;
} mls__window;

static mls__window mls__window_at(const mls_work *w, int32_t oy, int32_t ox)
{
    const mls_node *node = &w->net->nodes[w->node];
    int32_t y = oy * node->stride - node->pad, x = ox * node->stride - node->pad;
    mls__window at;
    at.y0 = y < 0 ? 0 : y, at.y1 = y + node->size < w->in[0].h ? y + node->size : w->in[0].h;
    at.x0 = x < 0 ? 0 : x, at.x1 = x + node->size < w->in[0].w ? x + node->size : w->in[0].w;
    return at;
}

/* ---- max pool: keeps the place of each maximum in the input image. The first one wins, and a NaN
   always does. */

static const char *mls__max_pool_shape(const mls_work *w, mls_layer_sizes *s)
{
    const char *wrong = mls__average_pool_shape(w, s);
    s->keep = wrong ? 0 : mls__image(s->shape) * sizeof(uint32_t);
    return wrong;
}

static void mls__max_pool_forward(const mls_work *w)
{
    const mls__layers *k = &mls__layer_kernels[mls__unit()];
    const size_t c = (size_t)w->out.c;
    for (int32_t oy = 0; oy < w->out.h; oy++)
        for (int32_t ox = 0; ox < w->out.w; ox++) {
            const mls__window at = mls__window_at(w, oy, ox);
            const size_t out = mls__pixel(w->out, oy, ox);
            const size_t first = mls__pixel(w->in[0], at.y0, at.x0);
            k->max_pool(w->x[0], first, (size_t)(at.y1 - at.y0), (size_t)(at.x1 - at.x0),
                        (size_t)w->in[0].w * c, c, w->y + out,
                        w->keep ? (uint32_t *)w->keep + out : 0);
        }
}

static void mls__max_pool_backward(const mls_work *w)
{
    const uint32_t *place = (const uint32_t *)w->keep;
    size_t count = mls__image(w->out);
    memset(w->dx[0], 0, mls__image(w->in[0]) * sizeof(float));
    for (size_t i = 0; i < count; i++) w->dx[0][place[i]] += w->dy[i];
}

MLS__OF_IMAGES(max_pool, "max pool", 0, MLS_KEEP);

MLS_DEF int32_t mls_net_max_pool(mls_net *net, int32_t x, int32_t size, int32_t stride, int32_t pad)
{
    return mls__pool(net, &mls__max_pool, x, size, stride, pad);
}

/* ---- average pool */

/* y[ch] is the mean over the window, or, with dx, the window's dx[ch] get their share of y[ch]. */
static void mls__average_pixel(const mls_work *w, mls__window at, float *y)
{
    const size_t c = (size_t)w->out.c;
    const float share = 1.0f / (float)((at.y1 - at.y0) * (at.x1 - at.x0));
    memset(y, 0, c * sizeof(float));
    for (int32_t iy = at.y0; iy < at.y1; iy++)
        for (int32_t ix = at.x0; ix < at.x1; ix++) {
            const float *x = w->x[0] + mls__pixel(w->in[0], iy, ix);
            for (size_t ch = 0; ch < c; ch++) y[ch] += x[ch];
        }
    for (size_t ch = 0; ch < c; ch++) y[ch] *= share;
}

static void mls__average_pool_forward(const mls_work *w)
{
    for (int32_t oy = 0; oy < w->out.h; oy++)
        for (int32_t ox = 0; ox < w->out.w; ox++) {
            mls__average_pixel(w, mls__window_at(w, oy, ox), w->y + mls__pixel(w->out, oy, ox));
        }
}

static void mls__average_pixel_back(const mls_work *w, mls__window at, const float *dy)
{
    const size_t c = (size_t)w->out.c;
    const float share = 1.0f / (float)((at.y1 - at.y0) * (at.x1 - at.x0));
    for (int32_t iy = at.y0; iy < at.y1; iy++)
        for (int32_t ix = at.x0; ix < at.x1; ix++) {
            float *dx = w->dx[0] + mls__pixel(w->in[0], iy, ix);
            for (size_t ch = 0; ch < c; ch++) {
                volatile float part = dy[ch] * share; /* kept from fusing with the sum */
                dx[ch] += part;
            }
        }
}

static void mls__average_pool_backward(const mls_work *w)
{
    memset(w->dx[0], 0, mls__image(w->in[0]) * sizeof(float));
    for (int32_t oy = 0; oy < w->out.h; oy++)
        for (int32_t ox = 0; ox < w->out.w; ox++) {
            mls__average_pixel_back(w, mls__window_at(w, oy, ox),
                                    w->dy + mls__pixel(w->out, oy, ox));
        }
}

MLS__OF_IMAGES(average_pool, "average pool", 0, 0);

MLS_DEF int32_t mls_net_average_pool(mls_net *net, int32_t x, int32_t size, int32_t stride,
                                     int32_t pad)
{
    return mls__pool(net, &mls__average_pool, x, size, stride, pad);
}

/* ---- global pool */

static const char *mls__global_pool_shape(const mls_work *w, mls_layer_sizes *s)
{
    (void)w;
    s->shape.h = s->shape.w = 1;
    return 0;
}

static void mls__global_pool_forward(const mls_work *w)
{
    const size_t c = (size_t)w->out.c, pixels = mls__image(w->in[0]) / c;
    const float share = 1.0f / (float)pixels;
    memset(w->y, 0, c * sizeof(float));
    for (size_t p = 0; p < pixels; p++) {
        for (size_t ch = 0; ch < c; ch++) w->y[ch] += w->x[0][p * c + ch];
    }
    for (size_t ch = 0; ch < c; ch++) w->y[ch] *= share;
}

static void mls__global_pool_backward(const mls_work *w)
{
    const size_t c = (size_t)w->out.c, pixels = mls__image(w->in[0]) / c;
    const float share = 1.0f / (float)pixels;
    for (size_t p = 0; p < pixels; p++) {
        for (size_t ch = 0; ch < c; ch++) w->dx[0][p * c + ch] = w->dy[ch] * share;
    }
}

MLS__OF_IMAGES(global_pool, "global pool", 0, 0);

MLS_DEF int32_t mls_net_global_pool(mls_net *net, int32_t x)
{
    return mls__layer(net, &mls__global_pool, 1, x, -1);
}

/* ---- subsample: every stride-th pixel; pad channels of zeros before those of the input, the rest
   behind */

static const char *mls__subsample_shape(const mls_work *w, mls_layer_sizes *s)
{
    mls_node *node = &w->net->nodes[w->node];
    const int32_t c = node->shape.c, stride = node->stride;
    if (c < s->shape.c) return "it cannot have fewer channels than its input";
    if (stride < 1) return "its stride must be positive";
    node->pad = (c - s->shape.c) / 2;
    s->shape.h = (s->shape.h - 1) / stride + 1;
    s->shape.w = (s->shape.w - 1) / stride + 1;
    s->shape.c = c;
    return 0;
}

static void mls__subsample_forward(const mls_work *w)
{
    const mls_node *node = &w->net->nodes[w->node];
    memset(w->y, 0, mls__image(w->out) * sizeof(float));
    for (int32_t y = 0; y < w->out.h; y++)
        for (int32_t x = 0; x < w->out.w; x++) {
            memcpy(w->y + mls__pixel(w->out, y, x) + node->pad,
                   w->x[0] + mls__pixel(w->in[0], y * node->stride, x * node->stride),
                   (size_t)w->in[0].c * sizeof(float));
        }
}

static void mls__subsample_backward(const mls_work *w)
{
    const mls_node *node = &w->net->nodes[w->node];
    memset(w->dx[0], 0, mls__image(w->in[0]) * sizeof(float));
    for (int32_t y = 0; y < w->out.h; y++)
        for (int32_t x = 0; x < w->out.w; x++) {
            memcpy(w->dx[0] + mls__pixel(w->in[0], y * node->stride, x * node->stride),
                   w->dy + mls__pixel(w->out, y, x) + node->pad,
                   (size_t)w->in[0].c * sizeof(float));
        }
}

MLS__OF_IMAGES(subsample, "subsample", 0, 0);

MLS_DEF int32_t mls_net_subsample(mls_net *net, int32_t x, int32_t stride, int32_t c)
{
    mls_node *node = mls__node_new(net, &mls__subsample, 1, x, -1);
    if (!node) return -1;
    node->stride = stride, node->shape.c = c;
    return mls__node_done(net, node);
}

#undef MLS__OF_IMAGES

/* ---- batch norm: sums of each image, which are added in order. Where a convolution quantizes its output,
   or what a relu makes of it, the ends of each channel tell the largest magnitude: y does not fall with x,
   or does not rise, whatever the rounding. */

enum {
    MLS__IF_ENDS = 1 << 26 /* of a batch norm: they are wanted */
};

static const char *mls__bn_shape(const mls_work *w, mls_layer_sizes *s)
{
    const size_t c = (size_t)s->shape.c;
    (void)w;
    s->weights = s->seconds = c; /* scale and shift */
    s->state = 2 * mls__up(c);   /* running mean and variance */
    s->constants = 6 * mls__up(c);
    s->sums = 3 * c; /* two, and two floats for the ends */
    return 0;
}

static void mls__bn_init(const mls_work *w, uint64_t seed)
{
    const size_t c = (size_t)w->out.c;
    (void)seed;
    for (size_t ch = 0; ch < c; ch++) w->weights[0][ch] = 1, w->state[mls__up(c) + ch] = 1;
}

/* What a step derives for each channel. Forward is y = x * scale + shift, backward is
   dx = dy * scale + (x * b + d). */
typedef struct mls__bn {
    float *mean, *inverse, *scale, *shift, *b, *d, *variance;
} mls__bn;

static mls__bn mls__bn_constants(const mls_work *w)
{
    const size_t step = mls__up((size_t)w->out.c);
    mls__bn k;
    k.mean = w->constants, k.inverse = k.mean + step, k.scale = k.inverse + step;
    k.b = k.shift = k.scale + step; /* forward is over then */
    k.d = k.b + step, k.variance = k.d + step;
    return k;
}

static void mls__bn_stats(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    mls__layer_kernels[mls__unit()].stats(w->x[0], mls__pixels(w->out), c, w->sums, w->sums + c);
}

/* Both sums of channel ch over the batch. */
static void mls__bn_sum(const mls_work *w, size_t ch, double *first, double *second)
{
    const size_t c = (size_t)w->out.c;
    const double *sums = w->sums;
    *first = *second = 0;
    for (int32_t n = 0; n < w->out.n; n++, sums += 3 * c)
        *first += sums[ch], *second += sums[c + ch];
}

static float *mls__bn_ends_at(double *sums, size_t c, int32_t n)
{
    return (float *)(void *)(sums + (size_t)n * 3 * c + 2 * c);
}

static void mls__bn_ends_of_x(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    mls__layer_kernels[mls__unit()].ends(w->x[0], mls__pixels(w->out), c,
                                         mls__bn_ends_at(w->sums, c, 0));
}

static void mls__bn_ends_of_y(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    const mls__bn k = mls__bn_constants(w);
    for (int32_t n = 0; n < w->out.n; n++) {
        float *ends = mls__bn_ends_at(w->sums, c, n);
        mls__layer_kernels[mls__unit()].scale(ends, 2, c, k.scale, k.shift, ends);
    }
}

/* The largest magnitudes of image n, of y or of what a relu keeps. */
static void mls__bn_peaks(double *sums, size_t c, int32_t n, int relu, float *peak)
{
    const float *ends = mls__bn_ends_at(sums, c, n);
    for (size_t ch = 0; ch < c; ch++) {
        uint32_t most = 0;
        for (size_t at = ch; at < 2 * c; at += c) {
            const uint32_t u = mls__bits(ends[at]) & 0x7fffffffu;
            if (!(relu && ends[at] <= 0) && u > most) most = u;
        }
        peak[ch] = mls__float(most);
    }
}

/* Mean and variance of a batch, and the y = x * scale + shift that stands for the normalisation. */
static void mls__bn_finish(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    const double m = (double)w->out.n * w->out.h * w->out.w;
    const mls__bn k = mls__bn_constants(w);
    for (size_t ch = 0; ch < c; ch++) {
        float variance = w->state[mls__up(c) + ch], unbiased = variance;
        k.mean[ch] = w->state[ch];
        if (w->training && !w->frozen) {
            double sum, square, v;
            mls__bn_sum(w, ch, &sum, &square);
            k.mean[ch] = (float)(sum / m);
            v = square / m - (double)k.mean[ch] * (double)k.mean[ch]; /* an exact product */
            variance = (float)(v > 0 ? v : v <= 0 ? 0 : v);
            unbiased = m > 1 ? (float)((double)variance * m / (m - 1)) : variance;
        }
        k.variance[ch] = unbiased;
        k.inverse[ch] = 1 / mls__sqrt(variance + w->net->desc.bn_epsilon);
        k.scale[ch] = w->weights[0][ch] * k.inverse[ch];
        k.shift[ch] = mls__fma(-k.mean[ch], k.scale[ch], w->weights[1][ch]);
    }
}

static void mls__bn_apply(const mls_work *w)
{
    const mls__bn k = mls__bn_constants(w);
    mls__layer_kernels[mls__unit()].scale(w->x[0], mls__pixels(w->out), (size_t)w->out.c, k.scale,
                                          k.shift, w->y);
}

static void mls__bn_reduce(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    mls__layer_kernels[mls__unit()].reduce(w->dy, w->x[0], mls__pixels(w->out), c,
                                           mls__bn_constants(w).mean, w->sums, w->sums + c);
}

/* Adds to the gradients of scale and shift of a channel; gives the sums of dy and of dy (x - mean). */
static void mls__bn_gradients(const mls_work *w, size_t ch, double *sum, double *product)
{
    float fresh;
    mls__bn_sum(w, ch, sum, product);
    fresh = (float)*product * mls__bn_constants(w).inverse[ch];
    w->gradients[0][ch] = mls__fma(1.0f, fresh, w->gradients[0][ch]); /* fresh is a product */
    w->gradients[1][ch] += (float)*sum;
}

/* The gradients, and the constants of dx. */
static void mls__bn_back(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    const double m = (double)w->out.n * w->out.h * w->out.w;
    const mls__bn k = mls__bn_constants(w);
    for (size_t ch = 0; ch < c; ch++) {
        double sum, product;
        float mean_dy, mean_product;
        mls__bn_gradients(w, ch, &sum, &product);
        mean_dy = (float)(sum / m);
        mean_product = (float)(product / m) * k.inverse[ch]; /* of dy * xhat */
        k.b[ch] = (-k.scale[ch] * k.inverse[ch]) * mean_product;
        k.d[ch] = mls__fma(-k.b[ch], k.mean[ch], -k.scale[ch] * mean_dy);
    }
}

static void mls__bn_dx(const mls_work *w)
{
    const mls__bn k = mls__bn_constants(w);
    mls__layer_kernels[mls__unit()].scale_back(w->dy, w->x[0], mls__pixels(w->out),
                                               (size_t)w->out.c, k.scale, k.b, k.d, w->dx[0]);
}

/* With running statistics it is a product with scale: d stays 0. */
static void mls__bn_dx_frozen(const mls_work *w)
{
    const mls__bn k = mls__bn_constants(w);
    mls__layer_kernels[mls__unit()].scale(w->dy, mls__pixels(w->out), (size_t)w->out.c, k.scale,
                                          k.d, w->dx[0]);
}

static void mls__bn_settle(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    const float momentum = w->net->desc.bn_momentum;
    const mls__bn k = mls__bn_constants(w);
    float *mean = w->state, *variance = mean + mls__up(c);
    for (size_t ch = 0; ch < c; ch++) {
        mean[ch] = mls__fma(momentum, k.mean[ch] - mean[ch], mean[ch]);
        variance[ch] = mls__fma(momentum, k.variance[ch] - variance[ch], variance[ch]);
    }
}

static const mls_step mls__batch_norm_forward_steps[] = {
    {MLS_IF_TRAINING | MLS_IF_TRAINED, MLS_EACH, MLS_X, MLS_SUMS, mls__bn_stats},
    {MLS_IF_TRAINING | MLS__IF_ENDS, MLS_EACH, MLS_X, MLS_SUMS, mls__bn_ends_of_x},
    {MLS_IF_TRAINING, MLS_SERIAL, MLS_SUMS, 0, mls__bn_finish},
    {MLS_IF_TRAINING | MLS__IF_ENDS, MLS_SERIAL, MLS_SUMS, MLS_SUMS, mls__bn_ends_of_y},
    {MLS_IF_EVALUATION | MLS__IF_WEIGHTS, MLS_SERIAL, 0, 0, mls__bn_finish},
    {0, MLS_EACH, MLS_X, MLS_Y, mls__bn_apply},
    MLS_STEPS_END};
static const mls_step mls__batch_norm_backward_steps[] = {
    {MLS_IF_TRAINED, MLS_EACH, MLS_DY | MLS_X, MLS_SUMS, mls__bn_reduce},
    {MLS_IF_TRAINED, MLS_SERIAL, MLS_SUMS, 0, mls__bn_back},
    {MLS_IF_WANTED | MLS_IF_TRAINED, MLS_EACH, MLS_DY | MLS_X, MLS_DX, mls__bn_dx},
    {MLS_IF_WANTED | MLS_IF_FROZEN, MLS_EACH, MLS_DY, MLS_DX, mls__bn_dx_frozen},
    MLS_STEPS_END};
static const mls_layer_kind mls__batch_norm = {"batch norm",
                                               MLS__DX_IN_PLACE,
                                               mls__bn_shape,
                                               mls__bn_init,
                                               mls__batch_norm_forward_steps,
                                               mls__batch_norm_backward_steps,
                                               mls__bn_settle,
                                               0};

MLS_DEF int32_t mls_net_batch_norm(mls_net *net, int32_t x)
{
    return mls__layer(net, &mls__batch_norm, 1, x, -1);
}

/* ---- L1 norm: batch norm with s = mean |u| sqrt(pi/2) for the deviation. Its row takes what batch norm
   has for sums, state and y = x * scale + shift; what differs is s, and the signs in the gradient. */

static const double mls__root_half_pi = 1.2533141373155002512;

static const char *mls__l1_shape(const mls_work *w, mls_layer_sizes *s)
{
    mls__bn_shape(w, s);
    s->constants += mls__up((size_t)s->shape.c); /* the mean sign */
    return 0;
}

static float *mls__l1_sign(const mls_work *w)
{
    return w->constants + 6 * mls__up((size_t)w->out.c);
}

static void mls__l1_mean(const mls_work *w)
{
    const double m = (double)w->out.n * w->out.h * w->out.w;
    const mls__bn k = mls__bn_constants(w);
    for (size_t ch = 0; ch < (size_t)w->out.c; ch++) {
        double sum, square;
        mls__bn_sum(w, ch, &sum, &square);
        k.mean[ch] = (float)(sum / m);
    }
}

/* The sums of |u| and of the signs of u. */
static void mls__l1_stats(const mls_work *w)
{
    const size_t c = (size_t)w->out.c, elements = mls__pixels(w->out) * c;
    const float *mean = mls__bn_constants(w).mean;
    memset(w->sums, 0, 2 * c * sizeof *w->sums);
    for (size_t i = 0; i < elements; i += c)
        for (size_t ch = 0; ch < c; ch++) {
            const float u = w->x[0][i + ch] - mean[ch];
            w->sums[ch] += (double)(u < 0 ? -u : u);
            w->sums[c + ch] += (u > 0) - (u < 0);
        }
}

static void mls__l1_finish(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    const double m = (double)w->out.n * w->out.h * w->out.w;
    const mls__bn k = mls__bn_constants(w);
    for (size_t ch = 0; ch < c; ch++) {
        if (w->training && !w->frozen) {
            double size, signs;
            mls__bn_sum(w, ch, &size, &signs);
            k.variance[ch] = (float)(size / m * mls__root_half_pi);
            mls__l1_sign(w)[ch] = (float)(signs / m);
        } else {
            k.mean[ch] = w->state[ch], k.variance[ch] = w->state[mls__up(c) + ch];
        }
        k.inverse[ch] = 1 / (k.variance[ch] + w->net->desc.bn_epsilon);
        k.scale[ch] = w->weights[0][ch] * k.inverse[ch];
        k.shift[ch] = mls__fma(-k.mean[ch], k.scale[ch], w->weights[1][ch]);
    }
}

/* With xhat = u / (s + epsilon) and means over the batch,
       dx = scale (dy - mean(dy) - mean(dy xhat) sqrt(pi/2) (sign(u) - mean(sign u))),
   scale with 1 / (s + epsilon) in it. b stands before sign(u). */
static void mls__l1_back(const mls_work *w)
{
    const double m = (double)w->out.n * w->out.h * w->out.w;
    const mls__bn k = mls__bn_constants(w);
    for (size_t ch = 0; ch < (size_t)w->out.c; ch++) {
        double sum, product;
        mls__bn_gradients(w, ch, &sum, &product);
        k.b[ch] = -k.scale[ch] * ((float)(product / m * mls__root_half_pi) * k.inverse[ch]);
        k.d[ch] = mls__fma(-k.b[ch], mls__l1_sign(w)[ch], -k.scale[ch] * (float)(sum / m));
    }
}

static void mls__l1_dx(const mls_work *w)
{
    const size_t c = (size_t)w->out.c, elements = mls__pixels(w->out) * c;
    const mls__bn k = mls__bn_constants(w);
    for (size_t i = 0; i < elements; i += c)
        for (size_t ch = 0; ch < c; ch++) {
            const float u = w->x[0][i + ch] - k.mean[ch];
            const float rest = u > 0 ? k.d[ch] + k.b[ch] : u < 0 ? k.d[ch] - k.b[ch] : k.d[ch];
            w->dx[0][i + ch] = mls__fma(w->dy[i + ch], k.scale[ch], rest);
        }
}

static const mls_step mls__l1_norm_forward_steps[] = {
    {MLS_IF_TRAINING | MLS_IF_TRAINED, MLS_EACH, MLS_X, MLS_SUMS, mls__bn_stats},
    {MLS_IF_TRAINING | MLS_IF_TRAINED, MLS_SERIAL, MLS_SUMS, 0, mls__l1_mean},
    {MLS_IF_TRAINING | MLS_IF_TRAINED, MLS_EACH, MLS_X, MLS_SUMS, mls__l1_stats},
    {MLS_IF_TRAINING, MLS_SERIAL, MLS_SUMS, 0, mls__l1_finish},
    {MLS_IF_EVALUATION | MLS__IF_WEIGHTS, MLS_SERIAL, 0, 0, mls__l1_finish},
    {0, MLS_EACH, MLS_X, MLS_Y, mls__bn_apply},
    MLS_STEPS_END};
static const mls_step mls__l1_norm_backward_steps[] = {
    {MLS_IF_TRAINED, MLS_EACH, MLS_DY | MLS_X, MLS_SUMS, mls__bn_reduce},
    {MLS_IF_TRAINED, MLS_SERIAL, MLS_SUMS, 0, mls__l1_back},
    {MLS_IF_WANTED | MLS_IF_TRAINED, MLS_EACH, MLS_DY | MLS_X, MLS_DX, mls__l1_dx},
    {MLS_IF_WANTED | MLS_IF_FROZEN, MLS_EACH, MLS_DY, MLS_DX, mls__bn_dx_frozen},
    MLS_STEPS_END};
static const mls_layer_kind mls__l1_norm = {"l1 norm",
                                            MLS__DX_IN_PLACE,
                                            mls__l1_shape,
                                            mls__bn_init,
                                            mls__l1_norm_forward_steps,
                                            mls__l1_norm_backward_steps,
                                            mls__bn_settle,
                                            0};

MLS_DEF int32_t mls_net_l1_norm(mls_net *net, int32_t x)
{
    return mls__layer(net, &mls__l1_norm, 1, x, -1);
}

/* ---- loss: softmax cross-entropy */

typedef struct mls__loss_kept {
    float loss;
    int32_t correct;
} mls__loss_kept;

static const char *mls__loss_shape(const mls_work *w, mls_layer_sizes *s)
{
    s->keep = sizeof(mls__loss_kept);
    if (w->net->nodes[w->net->nodes[w->node].in[0]].in[0] < 0) {
        return "it needs computed scores, not the input";
    }
    if (mls__image(s->shape) != (size_t)s->shape.c) {
        return "it needs one pixel of class scores: a linear layer or a global pool comes before "
               "it";
    }
    if (w->net->nodes[w->node].kind->flags & MLS_TARGETS) return 0;
    return s->shape.c < 2 ? "it needs at least two classes" : 0;
}

/* Returns the class of the largest logit, sets sum to the sum of e^(logit - largest) and, if p is not null,
   p to the probabilities. */
static int32_t mls__softmax(const float *z, int32_t classes, float *p, float *sum)
{
    int32_t best = 0;
    for (int32_t i = 1; i < classes; i++) {
        if (z[i] > z[best]) best = i;
    }
    *sum = 0;
    for (int32_t i = 0; i < classes; i++) {
        float e = mls__exp_scalar(z[i] - z[best]);
        if (p) p[i] = e;
        *sum += e;
    }
    for (int32_t i = 0; p && i < classes; i++) p[i] /= *sum;
    return best;
}

/* Loss of one image, and its gradient if wanted: p less what is wanted, which is [label] and, smoothed, a
   share of every class. */
static void mls__loss_forward(const mls_work *w)
{
    const int32_t classes = w->out.c, label = w->labels[w->image];
    const float smoothing = w->training ? mls__amount(w) : 0, share = smoothing / (float)classes;
    const float *z = w->x[0];
    mls__loss_kept *kept = (mls__loss_kept *)w->keep;
    float sum, *grad = w->dx[0], wanted;
    const int32_t best = mls__softmax(z, classes, grad, &sum);
    wanted = z[label] - z[best];
    if (grad) grad[label] -= 1 - smoothing;
    if (smoothing > 0) wanted *= 1 - smoothing;
    for (int32_t i = 0; smoothing > 0 && i < classes; i++) {
        wanted = mls__fma(share, z[i] - z[best], wanted);
        if (grad) grad[i] -= share;
    }
    kept->loss = mls__log(sum) - wanted;
    kept->correct = best == label;
}

static void mls__loss_sum(const mls_work *w)
{
    const mls__loss_kept *kept = (const mls__loss_kept *)w->keep;
    for (int32_t n = 0; n < w->out.n; n++) {
        w->result->loss += (double)kept[n].loss;
        w->result->correct += kept[n].correct;
    }
}

static const mls_step mls__loss_forward_steps[] = {
    {MLS_IF_LABELS, MLS_EACH, MLS_X, MLS_DX | MLS_KEEP, mls__loss_forward},
    {MLS_IF_LABELS, MLS_AFTER, MLS_KEEP, 0, mls__loss_sum},
    MLS_STEPS_END};
static const mls_layer_kind mls__loss = {
    "loss", MLS_LOSS, mls__loss_shape, 0, mls__loss_forward_steps, 0, 0, 0};

MLS_DEF int32_t mls_net_loss(mls_net *net, int32_t x)
{
    return mls__layer(net, &mls__loss, 1, x, -1);
}

MLS_DEF int32_t mls_net_smooth_loss(mls_net *net, int32_t x, float smoothing)
{
    return mls__layer_of(net, &mls__loss, x, smoothing);
}

/* ---- loss: mean squared error */

static void mls__mse_forward(const mls_work *w)
{
    const size_t outputs = (size_t)w->out.c;
    const float *z = w->x[0], *target = w->targets + (size_t)w->image * outputs;
    const float twice = 2 / (float)outputs;
    mls__loss_kept *kept = (mls__loss_kept *)w->keep;
    double sum = 0;
    for (size_t i = 0; i < outputs; i++) {
        const float d = z[i] - target[i];
        sum += (double)d * (double)d; /* an exact product */
        if (w->dx[0]) w->dx[0][i] = twice * d;
    }
    kept->loss = (float)(sum / (double)outputs);
    kept->correct = 0;
}

static const mls_step mls__mse_forward_steps[] = {
    {MLS_IF_LABELS, MLS_EACH, MLS_X, MLS_DX | MLS_KEEP, mls__mse_forward},
    {MLS_IF_LABELS, MLS_AFTER, MLS_KEEP, 0, mls__loss_sum},
    MLS_STEPS_END};
static const mls_layer_kind mls__mse = {
    "mse loss", MLS_LOSS | MLS_TARGETS, mls__loss_shape, 0, mls__mse_forward_steps, 0, 0, 0};

MLS_DEF int32_t mls_net_mse_loss(mls_net *net, int32_t x)
{
    return mls__layer(net, &mls__mse, 1, x, -1);
}

/* ---- custom */

/* What is wrong with the steps of a row from outside; null: nothing. */
static const char *mls__steps_wrong(const mls_step *steps, int in_place, int backward)
{
    uint32_t written = 0;
    for (; steps && steps->run; steps++) {
        if (steps->serial < MLS_EACH || steps->serial > MLS_AFTER) {
            return "a step of it is neither of images nor serial";
        }
        if ((steps->reads | steps->writes) >= 2 * MLS_SUMS) return "a step of it uses what is not";
        if (steps->serial != MLS_EACH && steps->writes & MLS_DX) {
            return "a serial step of it writes MLS_DX";
        }
        if (in_place &&
            ((backward && steps->reads & MLS_X) || (written & MLS_Y && steps->reads & MLS_X) ||
             (written & MLS_DX && steps->reads & MLS_DY))) {
            return "a step of it reads what was overwritten in place";
        }
        written |= steps->writes;
    }
    return 0;
}

MLS_DEF int32_t mls_net_custom(mls_net *net, const mls_layer_kind *kind, int32_t x, int32_t y,
                               const void *parameters)
{
    const char *wrong = 0;
    mls_node *node;
    int32_t at;
    if (!net || net->status != MLS_OK) return -1;
    if (!kind || !kind->name || !kind->forward || !kind->forward->run) {
        wrong = "mls_net_custom without a row, its name or its forward steps";
    } else if (kind->plan || kind->flags & ~(uint32_t)(MLS_IN_PLACE | MLS_LOSS | MLS_TARGETS)) {
        wrong = "mls_net_custom with a row whose plan is not null, or with unknown flags";
    } else {
        const int in_place = (kind->flags & MLS_IN_PLACE) != 0;
        wrong = mls__steps_wrong(kind->forward, in_place, 0);
        if (!wrong) wrong = mls__steps_wrong(kind->backward, in_place, 1);
    }
    if (wrong) {
        mls__fail(net, MLS_ERROR_ARGUMENT, -1, wrong);
        return -1;
    }
    node = mls__node_new(net, kind, y == -1 ? 1 : 2, x, y);
    if (!node) return -1;
    node->custom = 1, node->parameters = parameters;
    at = mls__node_done(net, node);
    if (at >= 0) node->keep = mls__align(node->keep, 16);
    return at;
}

/* ----------------------------------------------------------------------------- >>convolution
   Convolutions and linear layers. An operand is quantized in three stages: the peaks of each image,
   then the scales from all of them, then the codes of each image. */

/* The operands of each direction, and who is whose partner there. */
static const int mls__operands[3][2] = {
    {MLS__W, MLS__A}, {MLS__W_IN_DATA, MLS__E}, {MLS__E_IN_WEIGHT, MLS__A_IN_WEIGHT}};
static const int mls__partners[6] = {MLS__A, MLS__W,           MLS__W_IN_DATA,
                                     MLS__E, MLS__E_IN_WEIGHT, MLS__A_IN_WEIGHT};

/* When a convolution does a step: it quantizes its weights, its activation (and no convolution did so
   before), its error, for either product, its weights for backward-data; the codes of its activation or
   error can be written by threads, as no two images share a byte or a vector, or cannot; its gradient of
   the weights is one of integers, or of floats, which blocks of images sum; it can begin before its input
   is there, see mls__conv_norm, or cannot. */
enum {
    MLS__IF_LOW_W = 1 << 8,
    MLS__IF_LOW_A = 1 << 9,
    MLS__IF_LOW_E = 1 << 10,
    MLS__IF_APART_A = 1 << 11,
    MLS__IF_APART_E = 1 << 12,
    MLS__IF_JOINT_A = 1 << 13,
    MLS__IF_JOINT_E = 1 << 14,
    MLS__IF_EXACT = 1 << 15,
    MLS__IF_BLOCKS = 1 << 16,
    MLS__IF_LOW_W_IN_DATA = 1 << 17,
    MLS__IF_OWN = 1 << 18,  /* and five more: it quantizes this operand */
    MLS__IF_KEPT = 1 << 24, /* its weights are packed for many calls */
    MLS__IF_EARLY = 1 << 27,
    MLS__IF_LATE = 1 << 28,
    MLS__IF_GRADIENTS = MLS_IF_WANTED | MLS_IF_TRAINED | MLS_IF_FROZEN
};

/* How often, for convolutions only: for each image, those of a block in order by one thread; and by each
   thread after its last image; and once, in training before the images of the phase at hand if the
   convolution is early, else as MLS_SERIAL. */
enum {
    MLS__EACH_OF_BLOCK = MLS_AFTER + 1,
    MLS__LEAVE,
    MLS__BEGIN
};

/* Which of a convolution's three products run in integers. */
static int mls__integer(const mls_node *node, mls_direction direction)
{
    return mls__quantized(node->format[mls__operands[direction][0]]) &&
           mls__quantized(node->format[mls__operands[direction][1]]);
}

/* The operand whose codes are those of this one: it has one format for both products, or two. */
static int mls__operand_same(const mls_node *node, int o)
{
    if (o < MLS__ROLES) return o;
    return memcmp(&node->format[o], &node->format[o - MLS__ROLES], sizeof(mls_format)) == 0
               ? o - MLS__ROLES
               : o;
}

/* Whether a product is computed, and that of an operand. */
static int mls__has_product(const mls_net *net, const mls_node *node, int d)
{
    if (d == MLS_FORWARD) return 1;
    return d == MLS_BACKWARD_WEIGHT ? node->trained : net->nodes[node->in[0]].learns;
}
static int mls__has_operand(const mls_net *net, const mls_node *node, int o)
{
    static const int products[6] = {MLS_FORWARD,       MLS_FORWARD,         MLS_BACKWARD_DATA,
                                    MLS_BACKWARD_DATA, MLS_BACKWARD_WEIGHT, MLS_BACKWARD_WEIGHT};
    return mls__has_product(net, node, products[o]);
}

/* Whether the codes of a role's first product are for its second one, too. */
static int mls__serves_both(const mls_net *net, const mls_node *node, int o)
{
    const int second = o + MLS__ROLES;
    return o < MLS__ROLES && mls__operand_same(node, second) == o &&
           mls__has_operand(net, node, second);
}

/* Whether an operand must be there as fp32, too, for a product with an fp32 operand. */
static int mls__dequantized(const mls_net *net, const mls_node *node, int o)
{
    int others = !mls__quantized(node->format[mls__partners[o]]);
    if (mls__serves_both(net, node, o)) {
        others |= !mls__quantized(node->format[mls__partners[o + MLS__ROLES]]);
    }
    return others && mls__quantized(node->format[o]);
}

/* The node that quantizes an operand. */
static int32_t mls__operand_owner(const mls_net *net, int32_t i, int o)
{
    return o % MLS__ROLES == MLS__A ? net->nodes[i].activation_of[o / MLS__ROLES] : i;
}

/* The flag of steps that write the codes of an operand. */
static uint32_t mls__codes_flag(int o)
{
    return (uint32_t)MLS__CODES_W << (o == MLS__W_IN_DATA ? o : o % MLS__ROLES);
}

/* Whether a node quantizes an operand itself. */
static int mls__operand_own(const mls_node *node, int o)
{
    return node->facts >> o & MLS__IF_OWN;
}

/* The shape of an operand for n images. In evaluation every image of an activation is a tensor of its
   own, so that no prediction depends on the pictures beside it. */
static mls_shape mls__operand_shape(const mls_node *node, int o, int32_t n)
{
    const int role = o % MLS__ROLES;
    mls_shape s = role == MLS__A ? node->conv.in : node->shape;
    if (role == MLS__W) return mls_conv_weight_shape(&node->conv);
    s.n = n;
    return s;
}

/* Bytes of a tensor together with what it points to. */
static size_t mls__operand_step(mls_format f, mls_shape s)
{
    return mls__align(sizeof(mls_tensor), MLS__ALIGN) +
           mls__align(mls_tensor_size(f, s), MLS__ALIGN);
}

/* The tensor of an operand, of image n where each has one. */
static mls_tensor *mls__operand_at(const mls_net *net, int32_t i, int o, int32_t n)
{
    const mls_node *node = &net->nodes[i];
    uint8_t *p = (uint8_t *)mls__buffer_at(net, i, MLS__QUANTIZED + o);
    if (n) p += (size_t)n * mls__operand_step(node->format[o], mls__operand_shape(node, o, 1));
    return (mls_tensor *)(void *)p;
}

/* What it is to be: its place is written by one thread, others may be at work on its images. */
static mls_tensor mls__operand_place(const mls_net *net, int32_t i, int o, int32_t n)
{
    const mls_node *node = &net->nodes[i];
    mls_tensor t;
    mls__tensor_place(&t, node->format[o],
                      mls__operand_shape(node, o, net->training ? net->images : 1),
                      (uint8_t *)mls__operand_at(net, i, o, n) + mls__align(sizeof t, MLS__ALIGN));
    return t;
}

/* The numbers of an operand, from image 0 on. */
static const float *mls__operand_values(const mls_net *net, int32_t i, int o)
{
    const mls_node *node = &net->nodes[i];
    const int role = o % MLS__ROLES;
    if (role == MLS__W) return mls__weights_at(net, node);
    return role == MLS__A ? mls__value(net, node->in[0], 0) : mls__grad(net, i, 0);
}

/* The fp32 form of an operand for a product that is not integer. */
static const float *mls__operand_fp32(const mls_net *net, int32_t i, int o)
{
    if (!mls__quantized(net->nodes[i].format[o])) return mls__operand_values(net, i, o);
    return (const float *)mls__buffer_at(net, mls__operand_owner(net, i, o), MLS__DEQUANTIZED + o);
}

/* The batch norm whose output, or the relu of it, is the input of convolution i, if nothing stands between
   them in the walk: the convolution can begin before images are normalized, and an image be normalized,
   quantized and convolved while it is in the cache. -1: another layer's. */
static int32_t mls__conv_norm(const mls_net *net, int32_t i)
{
    const int relu = i > 0 && net->nodes[i - 1].kind == &mls__relu;
    const int32_t norm = i - 1 - relu;
    if (net->desc.inference || norm < 0 || net->nodes[norm].kind != &mls__batch_norm ||
        net->nodes[i].in[0] != i - 1 || (relu && net->nodes[i - 1].in[0] != norm) ||
        !mls__same_shape(net->nodes[i].conv.in, net->nodes[norm].shape)) {
        return -1;
    }
    return norm;
}

/* The role whose operands a step is for: in each product that has a format of its own. */
static int mls__step_role(const mls_work *w)
{
    return w->uses & MLS__CODES_A ? MLS__A : MLS__E;
}

/* Elements of an image of a role. */
static size_t mls__role_image(const mls_work *w, int role)
{
    return mls__image(role == MLS__E ? w->out : w->net->nodes[w->node].conv.in);
}

/* Peaks of image n. */
static void mls__conv_peaks(const mls_work *w)
{
    const size_t n = (size_t)w->image;
    for (int o = mls__step_role(w); o < MLS__OPERANDS; o += MLS__ROLES) {
        mls_tensor t;
        if (!mls__operand_own(&w->net->nodes[w->node], o)) continue;
        t = mls__operand_place(w->net, w->node, o, 0);
        mls__quantize_peaks(&t, mls__operand_values(w->net, w->node, o), n, n + 1);
    }
}

/* Peaks of all images, where a batch norm knows them. */
static void mls__conv_norm_peaks(const mls_work *w, mls_tensor *t)
{
    const int32_t norm = mls__conv_norm(w->net, w->node);
    const size_t c = (size_t)t->shape.c;
    double *sums = (double *)mls__buffer_at(w->net, norm, MLS__SUMS);
    for (int32_t n = 0; n < w->net->images; n++)
        mls__bn_peaks(sums, c, n, norm != w->node - 1, t->peak + (size_t)n * c);
}

/* Scale and groups, from the peaks of all images. */
static void mls__conv_scales(const mls_work *w)
{
    const int role = mls__step_role(w);
    for (int o = role; o < MLS__OPERANDS; o += MLS__ROLES) {
        mls_tensor *t;
        mls_status status;
        if (!mls__operand_own(&w->net->nodes[w->node], o)) continue;
        t = mls__operand_at(w->net, w->node, o, 0);
        *t = mls__operand_place(w->net, w->node, o, 0);
        if (w->uses & MLS__NORM_SUMS) mls__conv_norm_peaks(w, t);
        status = mls__quantize_scales(t);
        if (status == MLS_OK) continue;
        mls__fail(w->net, status, w->node,
                  role == MLS__E ? "its error is not finite" : "its input is not finite");
    }
}

/* Codes of elements first .. last - 1 of a tensor, and the same as fp32 where a product takes it so: what
   belongs to the tensor's element 0 is at that place there. */
static void mls__operand_codes(const mls_work *w, int o, mls_tensor *t, const float *x,
                               size_t place, size_t first, size_t last)
{
    const mls_net *net = w->net;
    mls__quantize_codes(t, x, mls__rounding_seed(net, w->node, o), first, last);
    if (mls__dequantized(net, &net->nodes[w->node], o)) {
        float *to = (float *)mls__buffer_at(net, w->node, MLS__DEQUANTIZED + o);
        mls__dequantize_range(t, to + place, first, last);
    }
}

static void mls__role_codes(const mls_work *w, int role, size_t first, size_t last)
{
    for (int o = role; o < MLS__OPERANDS; o += MLS__ROLES) {
        if (!mls__operand_own(&w->net->nodes[w->node], o)) continue;
        mls__operand_codes(w, o, mls__operand_at(w->net, w->node, o, 0),
                           mls__operand_values(w->net, w->node, o), 0, first, last);
    }
}

/* Codes of image n. */
static void mls__conv_codes(const mls_work *w)
{
    const int role = mls__step_role(w);
    const size_t n = (size_t)w->image, image = mls__role_image(w, role);
    mls__role_codes(w, role, n * image, (n + 1) * image);
}

static void mls__conv_codes_all(const mls_work *w)
{
    const int role = mls__step_role(w);
    mls__role_codes(w, role, 0, (size_t)w->out.n * mls__role_image(w, role));
}

static void mls__conv_weights(const mls_work *w)
{
    const int o = w->uses & MLS__CODES_W ? MLS__W : MLS__W_IN_DATA;
    mls_net *net = w->net;
    mls_tensor *t = mls__operand_at(net, w->node, o, 0);
    mls_status status = MLS_OK;
    if (!net->nodes[w->node].coded) {
        *t = mls__operand_place(net, w->node, o, 0);
        status = mls_quantize(t, w->weights[0], mls__rounding_seed(net, w->node, o));
    }
    if (status != MLS_OK) {
        mls__fail(net, status, w->node, "its weights are not finite");
    } else if (mls__dequantized(net, &net->nodes[w->node], o)) {
        mls_dequantize(t, (float *)mls__buffer_at(net, w->node, MLS__DEQUANTIZED + o));
    }
}

/* Packs the weights for all calls that follow. */
static void mls__conv_keep(const mls_work *w)
{
    mls_net *net = w->net;
    mls_node *node = &net->nodes[w->node];
    mls_format second;
    mls_source first;
    mls_status status;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    if (mls__integer(node, MLS_FORWARD)) {
        first.tensor = mls__operand_at(net, w->node, MLS__W, 0), second = node->format[MLS__A];
    } else {
        first.fp32 = mls__operand_fp32(net, w->node, MLS__W);
    }
    status =
        mls_conv_keep(&node->kept, &node->conv, MLS_FORWARD, &first, second,
                      mls__buffer_at(net, w->node, MLS__PACKED), node->buffer[MLS__PACKED].size);
    if (status != MLS_OK) mls__fail(net, status, w->node, 0);
}

/* Quantizes image n for evaluation. What is not finite gets a scale that is none; mls__conv_image_scales
   tells. */
static void mls__conv_quantize_image(const mls_work *w)
{
    const size_t n = (size_t)w->image, image = mls__role_image(w, MLS__A);
    mls_tensor *t;
    if (!mls__operand_own(&w->net->nodes[w->node], MLS__A)) return;
    t = mls__operand_at(w->net, w->node, MLS__A, w->image);
    *t = mls__operand_place(w->net, w->node, MLS__A, w->image);
    mls__quantize_peaks(t, w->x[0], 0, 1);
    if (mls__quantize_scales(t) == MLS_OK)
        mls__operand_codes(w, MLS__A, t, w->x[0], n * image, 0, image);
    else
        t->scale = mls__float(0x7fc00000u);
}

static void mls__conv_image_scales(const mls_work *w)
{
    if (!mls__operand_own(&w->net->nodes[w->node], MLS__A)) return;
    for (int32_t n = 0; n < w->net->images && w->net->status == MLS_OK; n++) {
        float scale = mls__operand_at(w->net, w->node, MLS__A, n)->scale;
        if (scale != scale) {
            mls__fail(w->net, MLS_ERROR_NONFINITE, w->node, "its input is not finite");
        }
    }
}

/* Begins one of the three products, as call 0 or 1. */
static void mls__conv_begin(const mls_work *w)
{
    const mls_direction direction = w->uses & MLS__FOR_FORWARD ? MLS_FORWARD
                                    : w->uses & MLS__FOR_DATA  ? MLS_BACKWARD_DATA
                                                               : MLS_BACKWARD_WEIGHT;
    const int which = direction == MLS_BACKWARD_WEIGHT;
    mls_net *net = w->net;
    const mls_node *node = &net->nodes[w->node];
    mls_conv conv = node->conv;
    mls_source source[2];
    mls_sink sink;
    mls_status status;
    memset(source, 0, sizeof source);
    for (int j = 0; j < 2; j++) {
        const int o = mls__operand_same(node, mls__operands[direction][j]);
        if (!mls__integer(node, direction)) {
            source[j].fp32 = mls__operand_fp32(net, w->node, o);
            continue;
        }
        source[j].tensor = mls__operand_at(net, mls__operand_owner(net, w->node, o), o, 0);
        source[j].pending = 1;
        if (o == MLS__A && !net->training) {
            source[j].step = mls__operand_step(node->format[o], mls__operand_shape(node, o, 1));
        }
    }
    conv.in.n = net->images;
    source[0].kept = mls__owner(net)->nodes[w->node].kept;
    sink.out = which ? mls__floats(net, net->scratch_at) : 0; /* see mls__conv_finish */
    status = mls_conv_begin(&net->calls[which], &conv, direction, &source[0], &source[1], &sink,
                            net->threads, net->arena + net->work_at[which], net->work_size[which]);
    if (status != MLS_OK) {
        mls__fail(net, status, w->node,
                  status == MLS_ERROR_NONFINITE ? "the product of its scales is not finite" : 0);
    }
}

static void mls__conv_forward(const mls_work *w)
{
    const size_t c = (size_t)w->out.c, pixels = mls__pixels(w->out);
    mls_conv_image(w->net->calls[0], w->image, w->thread, w->y);
    mls_conv_leave(w->net->calls[0], w->thread);
    if (!w->net->nodes[w->node].bias) return;
    for (size_t p = 0; p < pixels; p++) {
        for (size_t ch = 0; ch < c; ch++) w->y[p * c + ch] += w->weights[1][ch];
    }
}

static void mls__conv_dx(const mls_work *w)
{
    mls_conv_image(w->net->calls[0], w->image, w->thread, w->dx[0]);
    mls_conv_leave(w->net->calls[0], w->thread);
}

static void mls__conv_weight(const mls_work *w)
{
    const size_t c = (size_t)w->out.c;
    mls_conv_image(w->net->calls[1], w->image, w->thread, 0);
    if (w->net->nodes[w->node].bias) {
        mls__layer_kernels[mls__unit()].stats(w->dy, mls__pixels(w->out), c, w->sums, w->sums + c);
    }
}

static void mls__conv_leave_weight(const mls_work *w)
{
    mls_conv_leave(w->net->calls[1], w->thread);
}

/* Adds the gradient of the weights, and of the bias, to what is there. */
static void mls__conv_finish(const mls_work *w)
{
    const mls_node *node = &w->net->nodes[w->node];
    const float *fresh = mls__floats(w->net, w->net->scratch_at);
    mls_conv_end(w->net->calls[1]);
    mls__layer_kernels[mls__unit()].add(w->gradients[0], fresh, node->weights, w->gradients[0]);
    for (size_t ch = 0; ch < node->seconds; ch++) {
        double sum = 0;
        for (int32_t n = 0; n < w->out.n; n++) sum += w->sums[(size_t)n * node->sums + ch];
        w->gradients[1][ch] += (float)sum;
    }
}

/* What a convolution needs for its formats. */
typedef struct mls__need {
    uint32_t facts, uses;              /* as in mls_node */
    int32_t activation_of[2];          /* as there */
    size_t size[MLS__OPERAND_BUFFERS]; /* of its buffers from MLS__QUANTIZED on */
    size_t work[2];                    /* of the network's calls */
} mls__need;

/* Checks formats and sums, and finds the workspace that the products need. */
static mls_status mls__conv_check(mls_net *net, int32_t i, mls__need *need)
{
    const mls_node *node = &net->nodes[i];
    mls_format none;
    char text[200];
    memset(&none, 0, sizeof none);
    for (int o = 0; o < MLS__OPERANDS; o++) {
        if (!mls__zero_format(node->format[o]) && mls_format_check(node->format[o]) != MLS_OK) {
            return mls__fail(net, MLS_ERROR_FORMAT, i, "one of its formats is not a format");
        }
    }
    for (int d = 0; d < 3; d++) {
        mls_direction direction = (mls_direction)d;
        int which = direction == MLS_BACKWARD_WEIGHT, integer = mls__integer(node, direction);
        const mls_format *f = &node->format[mls__operands[d][0]];
        const mls_format *g = &node->format[mls__operands[d][1]];
        size_t size;
        if (!mls__has_product(net, node, d)) continue;
        if (integer) {
            mls_status status = mls_conv_check(&node->conv, direction, *f, *g, text, sizeof text);
            if (status != MLS_OK) return mls__fail(net, status, i, text);
        }
        /* A batch that is not full has fewer images for the same threads. */
        size = mls_conv_call_size(&node->conv, direction, integer ? *f : none, integer ? *g : none,
                                  net->threads);
        if (size > need->work[which]) need->work[which] = size;
    }
    return MLS_OK;
}

/* The forms in which products take operands: a bit for each product, operand and form. */
enum {
    MLS__AS_CODES,
    MLS__AS_CODES_OF_FIRST, /* of the role's first product */
    MLS__AS_FP32,           /* dequantized */
    MLS__AS_FP32_OF_FIRST,
    MLS__AS_IT_IS, /* never quantized */
    MLS__FORMS
};
static uint32_t mls__use_bit(int direction, int j, int form)
{
    return (uint32_t)1 << ((2 * direction + j) * MLS__FORMS + form);
}

static uint32_t mls__product_uses(const mls_node *node)
{
    uint32_t uses = 0;
    for (int d = 0; d < 3; d++) {
        for (int j = 0; j < 2; j++) {
            const int o = mls__operands[d][j], of_first = mls__operand_same(node, o) != o;
            int form = mls__integer(node, (mls_direction)d) ? MLS__AS_CODES : MLS__AS_FP32;
            form = mls__quantized(node->format[o]) ? form + of_first : (int)MLS__AS_IT_IS;
            uses |= mls__use_bit(d, j, form);
        }
    }
    return uses;
}

/* Formats may change: then no convolution takes the codes of another one. */
static int mls__changing(const mls_net *net)
{
    const mls_formats *f = &net->desc.widest;
    return !mls__zero_format(f->weight) || !mls__zero_format(f->activation) ||
           !mls__zero_format(f->error) || !mls__zero_format(f->weight_in_data) ||
           !mls__zero_format(f->activation_in_weight) || !mls__zero_format(f->error_in_weight);
}

/* The convolution that quantizes the activation of node i: the first with the same one. */
static int32_t mls__activation_owner(const mls_net *net, int32_t i, int o)
{
    const mls_node *node = &net->nodes[i];
    for (int32_t j = 0; j < i && !mls__changing(net); j++) {
        const mls_node *other = &net->nodes[j];
        if (mls__convolves(other) && mls__operand_own(other, o) && other->in[0] == node->in[0] &&
            mls__same_shape(other->conv.in, node->conv.in) &&
            memcmp(&other->format[o], &node->format[o], sizeof(mls_format)) == 0 &&
            mls__dequantized(net, other, o) == mls__dequantized(net, node, o)) {
            return j;
        }
    }
    return i;
}

/* What an operand needs, if the node quantizes it. */
static void mls__operand_need(const mls_net *net, int32_t i, int o, mls__need *need)
{
    static const uint32_t facts[MLS__OPERANDS] = {MLS__IF_LOW_W, MLS__IF_LOW_A,
                                                  MLS__IF_LOW_E, MLS__IF_LOW_W_IN_DATA,
                                                  MLS__IF_LOW_A, MLS__IF_LOW_E};
    const mls_node *node = &net->nodes[i];
    const mls_shape s = mls__operand_shape(node, o, net->desc.batch);
    mls_format f = node->format[o];
    if (!mls__quantized(f) || mls__operand_same(node, o) != o) return;
    if (!mls__has_operand(net, node, o) && !mls__serves_both(net, node, o)) return;
    if (o % MLS__ROLES == MLS__A) {
        need->activation_of[o / MLS__ROLES] = mls__activation_owner(net, i, o);
        if (need->activation_of[o / MLS__ROLES] != i) return;
    }
    need->facts |= facts[o] | (uint32_t)MLS__IF_OWN << o;
    if (mls__changing(net)) f.grouping = MLS_GROUP_NC; /* room for all groupings */
    need->size[o] = mls__operand_step(f, s);
    if (o == MLS__A) {
        const mls_shape image = mls__operand_shape(node, o, 1);
        const size_t images = (size_t)s.n * mls__operand_step(f, image);
        if (net->desc.inference || images > need->size[o]) need->size[o] = images;
    }
    if (mls__dequantized(net, node, o)) {
        need->size[MLS__OPERANDS + o] = mls__elements(s) * sizeof(float);
    }
}

/* Room for packed weights. */
static void mls__packed_need(const mls_node *node, mls__need *need)
{
    const int integer = mls__integer(node, MLS_FORWARD);
    mls_format none;
    size_t size;
    memset(&none, 0, sizeof none);
    size = mls_conv_keep_size(&node->conv, MLS_FORWARD, integer ? node->format[MLS__W] : none,
                              integer ? node->format[MLS__A] : none);
    need->size[MLS__PACKED - MLS__QUANTIZED] = size;
    if (size) need->facts |= MLS__IF_KEPT;
}

static mls_status mls__conv_need(mls_net *net, int32_t i, mls__need *need)
{
    const mls_node *node = &net->nodes[i];
    const int apart_a = mls__image(node->conv.in) % 16 == 0,
              apart_e = mls__image(node->shape) % 16 == 0;
    memset(need, 0, sizeof *need);
    if (mls__conv_check(net, i, need) != MLS_OK) return net->status;
    need->facts = mls__integer(node, MLS_BACKWARD_WEIGHT) ? MLS__IF_EXACT : MLS__IF_BLOCKS;
    need->uses = mls__product_uses(node);
    need->activation_of[0] = need->activation_of[1] = i;
    need->facts |= (uint32_t)(mls__conv_norm(net, i) >= 0 ? MLS__IF_EARLY : MLS__IF_LATE);
    for (int o = 0; o < MLS__OPERANDS; o++) mls__operand_need(net, i, o, need);
    if (need->facts & MLS__IF_LOW_A) need->facts |= apart_a ? MLS__IF_APART_A : MLS__IF_JOINT_A;
    if (need->facts & MLS__IF_LOW_E) need->facts |= apart_e ? MLS__IF_APART_E : MLS__IF_JOINT_E;
    if (net->desc.inference) mls__packed_need(node, need);
    return MLS_OK;
}

/* Makes room for what a convolution needs. */
static void mls__conv_room(mls_net *net, int32_t i, const mls__need *need)
{
    mls_node *node = &net->nodes[i];
    node->planned |= need->facts, node->uses |= need->uses;
    for (int k = 0; k < MLS__OPERAND_BUFFERS; k++) {
        size_t *size = &node->buffer[MLS__QUANTIZED + k].size;
        if (need->size[k] > *size) *size = need->size[k];
    }
    for (int k = 0; k < 2; k++) {
        if (need->work[k] > net->work_size[k]) net->work_size[k] = need->work[k];
    }
}

/* Whether there is. */
static int mls__conv_fits(const mls_net *net, int32_t i, const mls__need *need)
{
    const mls_node *node = &net->nodes[i];
    int fits = !(need->facts & ~node->planned) && !(need->uses & ~node->uses);
    for (int k = 0; k < MLS__OPERAND_BUFFERS; k++) {
        fits &= need->size[k] <= node->buffer[MLS__QUANTIZED + k].size;
    }
    return fits && need->work[0] <= net->work_size[0] && need->work[1] <= net->work_size[1];
}

/* Refuses what is for the network that has the weights. */
static mls_status mls__not_owner(mls_net *net)
{
    return mls__fail(net, MLS_ERROR_STATE, -1, "the network takes its weights from another one");
}

static mls_status mls__conv_plan(const mls_work *w)
{
    mls_net *net = w->net;
    mls_node *node = &net->nodes[w->node];
    const int32_t norm = mls__conv_norm(net, w->node);
    mls_format first[MLS__OPERANDS];
    mls__need need;
    node->uses = 0;
    if (norm >= 0) net->nodes[norm].facts = net->nodes[norm].planned = MLS__IF_ENDS;
    if (mls__conv_need(net, w->node, &need) != MLS_OK) return net->status;
    mls__conv_room(net, w->node, &need);
    node->facts = need.facts;
    memcpy(node->activation_of, need.activation_of, sizeof node->activation_of);
    if (!node->has_formats || !mls__changing(net)) return MLS_OK;
    memcpy(first, node->format, sizeof first);
    mls__formats_spread(&net->desc.widest, node->format);
    if (mls__conv_need(net, w->node, &need) == MLS_OK) {
        mls__conv_room(net, w->node, &need);
    } else {
        mls__say(net->text, sizeof net->text, ", of the widest");
    }
    memcpy(node->format, first, sizeof first);
    return net->status;
}

MLS_DEF mls_status mls_net_format(mls_net *net, int32_t index, const mls_formats *formats)
{
    mls_node *node;
    mls_format before[MLS__OPERANDS];
    mls__need need;
    if (!net) return MLS_ERROR_ARGUMENT;
    mls__clear(net);
    if (net->status != MLS_OK) return net->status;
    if (!formats) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "mls_net_format without formats");
    if (index < 0 || index >= net->count) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "mls_net_format of a node that is not there");
    }
    node = &net->nodes[index];
    if (!mls__convolves(node)) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, index,
                         "only convolutions and linear layers have formats");
    }
    if (net->planned && net->desc.weights_of) return mls__not_owner(net);
    if (net->planned && !mls__changing(net)) {
        return mls__fail(net, MLS_ERROR_STATE, index,
                         "its formats are planned to stay: mls_net_desc has no widest");
    }
    memcpy(before, node->format, sizeof before);
    mls__formats_spread(formats, node->format);
    node->has_formats |= !net->planned;
    if (!net->planned) return MLS_OK;
    if (mls__conv_need(net, index, &need) == MLS_OK && !mls__conv_fits(net, index, &need)) {
        mls__fail(net, MLS_ERROR_MEMORY, index, "no room was planned for such formats");
    }
    if (net->status == MLS_OK) {
        node->facts = need.facts | (node->planned & MLS__IF_GRADIENTS);
        node->kept = 0, node->coded = 0, net->packed = 0;
    } else {
        memcpy(node->format, before, sizeof before);
    }
    return net->status;
}

static const char *mls__conv_sizes(const mls_work *w, mls_layer_sizes *s, mls_shape in)
{
    mls_node *node = &w->net->nodes[w->node];
    const int32_t c = node->conv.c_out;
    node->conv.in = in;
    s->shape = mls_conv_output(&node->conv);
    s->weights = mls__elements(mls_conv_weight_shape(&node->conv));
    s->seconds = node->bias && c > 0 ? (size_t)c : 0;
    s->sums = node->bias && c > 0 ? 2 * (size_t)c : 0;
    return mls_conv_wrong(&node->conv);
}

static const char *mls__conv_shape(const mls_work *w, mls_layer_sizes *s)
{
    return mls__conv_sizes(w, s, w->in[0]);
}

/* A 1 x 1 convolution of an image with one pixel. */
static const char *mls__linear_shape(const mls_work *w, mls_layer_sizes *s)
{
    const size_t inputs = mls__image(w->in[0]);
    mls_shape in = {0, 1, 1, 0};
    in.n = w->in[0].n, in.c = inputs <= INT32_MAX ? (int32_t)inputs : 0;
    if (w->net->nodes[w->node].conv.c_out < 1) return "it needs at least one output";
    return mls__conv_sizes(w, s, in);
}

static void mls__conv_init(const mls_work *w, uint64_t seed)
{
    const mls_node *node = &w->net->nodes[w->node];
    int32_t groups = node->conv.groups ? node->conv.groups : 1;
    float fan = (float)node->conv.kh * (float)node->conv.kw * (float)(node->conv.c_out / groups);
    float deviation = mls__sqrt(2 / fan);
    for (size_t j = 0; j < node->weights; j++) w->weights[0][j] = mls__normal(seed, j) * deviation;
}

static void mls__linear_init(const mls_work *w, uint64_t seed)
{
    const mls_node *node = &w->net->nodes[w->node];
    float bound = 1 / mls__sqrt((float)node->conv.in.c);
    for (size_t j = 0; j < node->weights; j++) {
        int32_t u = 2 * (int32_t)mls_random16(seed, j) - 65535;
        w->weights[0][j] = (float)u * (1.0f / 65536) * bound;
    }
}

static const mls_step mls__conv_forward_steps[] = {
    {MLS_IF_TRAINING | MLS__IF_LOW_A | MLS__IF_LATE, MLS_EACH, MLS_X, MLS__CODES_A,
     mls__conv_peaks},
    {MLS_IF_EVALUATION | MLS__IF_LOW_A, MLS_EACH, MLS_X, MLS__CODES_A, mls__conv_quantize_image},
    {MLS__IF_WEIGHTS | MLS__IF_LOW_W, MLS__BEGIN, 0, MLS__CODES_W, mls__conv_weights},
    {MLS__IF_WEIGHTS | MLS__IF_KEPT, MLS_SERIAL, MLS__CODES_W, 0, mls__conv_keep},
    {MLS_IF_TRAINING | MLS__IF_LOW_A | MLS__IF_LATE, MLS__BEGIN, MLS__CODES_A, MLS__CODES_A,
     mls__conv_scales},
    {MLS_IF_TRAINING | MLS__IF_LOW_A | MLS__IF_EARLY, MLS__BEGIN, MLS__NORM_SUMS, MLS__CODES_A,
     mls__conv_scales},
    {MLS_IF_EVALUATION | MLS__IF_LOW_A, MLS__BEGIN, MLS__CODES_A, 0, mls__conv_image_scales},
    {0, MLS__BEGIN, MLS__FOR_FORWARD, 0, mls__conv_begin},
    {MLS_IF_TRAINING | MLS__IF_APART_A, MLS_EACH, MLS_X, MLS__CODES_A, mls__conv_codes},
    {MLS_IF_TRAINING | MLS__IF_JOINT_A, MLS_SERIAL, MLS_X, MLS__CODES_A, mls__conv_codes_all},
    {0, MLS_EACH, MLS__FOR_FORWARD, MLS_Y, mls__conv_forward},
    MLS_STEPS_END};
static const mls_step mls__conv_backward_steps[] = {
    {MLS__IF_LOW_W_IN_DATA, MLS_SERIAL, 0, MLS__CODES_W_IN_DATA, mls__conv_weights},
    {MLS__IF_LOW_E, MLS_EACH, MLS_DY, MLS__CODES_E, mls__conv_peaks},
    {MLS__IF_LOW_E, MLS_SERIAL, MLS__CODES_E, MLS__CODES_E, mls__conv_scales},
    {MLS_IF_WANTED, MLS_SERIAL, MLS__FOR_DATA, 0, mls__conv_begin},
    {MLS_IF_TRAINED, MLS_SERIAL, MLS__FOR_WEIGHT, 0, mls__conv_begin},
    {MLS__IF_APART_E, MLS_EACH, MLS_DY, MLS__CODES_E, mls__conv_codes},
    {MLS__IF_JOINT_E, MLS_SERIAL, MLS_DY, MLS__CODES_E, mls__conv_codes_all},
    {MLS_IF_WANTED, MLS_EACH, MLS__FOR_DATA, MLS_DX, mls__conv_dx},
    {MLS__IF_EXACT | MLS_IF_TRAINED, MLS_EACH, MLS__FOR_WEIGHT | MLS_DY, MLS_SUMS,
     mls__conv_weight},
    {MLS__IF_BLOCKS | MLS_IF_TRAINED, MLS__EACH_OF_BLOCK, MLS__FOR_WEIGHT | MLS_DY, MLS_SUMS,
     mls__conv_weight},
    {MLS_IF_TRAINED, MLS__LEAVE, 0, 0, mls__conv_leave_weight},
    {MLS_IF_TRAINED, MLS_AFTER, MLS_SUMS, 0, mls__conv_finish},
    MLS_STEPS_END};
static const mls_layer_kind mls__convolution = {"convolution",
                                                0,
                                                mls__conv_shape,
                                                mls__conv_init,
                                                mls__conv_forward_steps,
                                                mls__conv_backward_steps,
                                                0,
                                                mls__conv_plan};
static const mls_layer_kind mls__linear = {"linear",
                                           0,
                                           mls__linear_shape,
                                           mls__linear_init,
                                           mls__conv_forward_steps,
                                           mls__conv_backward_steps,
                                           0,
                                           mls__conv_plan};

static void mls__role_default(mls_format *first, mls_format *second, mls_format net_first,
                              mls_format net_second)
{
    if (!mls__zero_format(*first)) return;
    *first = net_first;
    if (mls__zero_format(*second)) *second = net_second;
}

/* Gives a node its formats: those of desc, or of the network where they are all zero. */
static void mls__node_formats(const mls_net *net, mls_node *node, const mls_formats *desc)
{
    const mls_formats *d = &net->desc.formats;
    mls_formats f = *desc;
    mls__role_default(&f.weight, &f.weight_in_data, d->weight, d->weight_in_data);
    mls__role_default(&f.activation, &f.activation_in_weight, d->activation,
                      d->activation_in_weight);
    mls__role_default(&f.error, &f.error_in_weight, d->error, d->error_in_weight);
    mls__formats_spread(&f, node->format);
    node->has_formats = 1;
}

MLS_DEF int32_t mls_net_conv(mls_net *net, int32_t x, const mls_conv_desc *desc)
{
    mls_node *node = mls__node_new(net, &mls__convolution, 1, x, -1);
    if (!node) return -1;
    if (!desc) {
        mls__fail(net, MLS_ERROR_ARGUMENT, -1, "mls_net_conv without a description");
        return -1;
    }
    node->conv.c_out = desc->c_out, node->conv.kh = desc->kh;
    node->conv.kw = desc->kw ? desc->kw : desc->kh;
    node->conv.stride = desc->stride ? desc->stride : 1;
    node->conv.pad = desc->pad;
    node->conv.groups = desc->groups;
    node->conv.stride_h = desc->stride_h, node->conv.stride_w = desc->stride_w;
    node->conv.dilation_h = desc->dilation_h, node->conv.dilation_w = desc->dilation_w;
    node->conv.pad_top = desc->pad_top, node->conv.pad_left = desc->pad_left;
    node->conv.pad_bottom = desc->pad_bottom, node->conv.pad_right = desc->pad_right;
    node->bias = desc->bias;
    if (!desc->fp32 && (net->nodes[x].in[0] >= 0 || net->desc.quantize_first)) {
        mls__node_formats(net, node, &desc->formats);
    }
    return mls__node_done(net, node);
}

MLS_DEF int32_t mls_net_linear(mls_net *net, int32_t x, int32_t outputs)
{
    mls_node *node = mls__node_new(net, &mls__linear, 1, x, -1);
    mls_formats none;
    if (!node) return -1;
    memset(&none, 0, sizeof none);
    node->conv.c_out = outputs, node->conv.kh = node->conv.kw = node->conv.stride = 1;
    node->bias = 1;
    if (net->desc.quantize_last) mls__node_formats(net, node, &none);
    return mls__node_done(net, node);
}

MLS_DEF mls_status mls_net_explain(const mls_net *net, int32_t index, mls_direction direction,
                                   char *text, size_t size)
{
    const mls_node *node;
    mls_format zero;
    int a, b;
    memset(&zero, 0, sizeof zero);
    if (!net || index < 0 || index >= net->count || (unsigned)direction > MLS_BACKWARD_WEIGHT) {
        return MLS_ERROR_ARGUMENT;
    }
    node = &net->nodes[index];
    if (!mls__convolves(node)) return MLS_ERROR_ARGUMENT;
    a = mls__operands[direction][0], b = mls__operands[direction][1];
    if (!mls__integer(node, direction)) {
        return mls_conv_explain(&node->conv, direction, zero, zero, text, size);
    }
    return mls_conv_explain(&node->conv, direction, node->format[a], node->format[b], text, size);
}

/* ----------------------------------------------------------------------------------- >>walk
   A pass walks over the steps of the nodes, forward or backward, and cuts them into phases: a serial
   step, or some steps that run together, image by image, while its data are still in the cache: one
   parallel loop over the images. */

enum {
    MLS__MOST_THREADS = 64,
    MLS__PHASE_STEPS = 32, /* of images, at most */
    MLS__PHASE_MOST = MLS__PHASE_STEPS + 16
};

typedef struct mls__pass {
    uint32_t facts; /* of the pass */
    int backward;
    int32_t at, step; /* node and step that come next */
    int32_t most;     /* steps of images in a phase */
    int32_t count;    /* of the phase at hand */
    int32_t node[MLS__PHASE_MOST];
    const mls_step *steps[MLS__PHASE_MOST];
} mls__pass;

static mls__pass mls__pass_start(const mls_net *net, uint32_t facts, int backward)
{
    mls__pass w;
    if (!net->desc.inference) facts |= MLS__IF_WEIGHTS;
    w.facts = facts, w.backward = backward, w.at = backward ? net->count - 1 : 0;
    w.step = w.count = 0, w.most = MLS__PHASE_STEPS;
    return w;
}

static int mls__of_images(const mls_step *step)
{
    return step->serial == MLS_EACH || step->serial == MLS__EACH_OF_BLOCK;
}

/* What may hold in a pass of the network. */
static uint32_t mls__pass_facts(const mls_net *net)
{
    const uint32_t training = MLS_IF_TRAINING | MLS__IF_WEIGHTS;
    return (net->desc.inference ? 0 : training) | MLS_IF_EVALUATION | MLS_IF_LABELS;
}

/* Whether images must all be done before a step. */
static int mls__waits(const mls_step *step, int early)
{
    return step->serial == MLS_SERIAL || (step->serial == MLS__BEGIN && !early);
}

/* The step that comes next, or null at the end: of any pass that the network is planned for, so that all
   are cut alike. */
static const mls_step *mls__pass_next(const mls_net *net, mls__pass *w)
{
    const uint32_t facts = mls__pass_facts(net);
    while (w->at >= 0 && w->at < net->count) {
        const mls_node *node = &net->nodes[w->at];
        const mls_step *steps = w->backward ? node->kind->backward : node->kind->forward;
        if (w->backward && !node->learns) steps = 0;
        for (; steps && steps[w->step].run; w->step++) {
            if (!(steps[w->step].when & ~(facts | node->planned))) return &steps[w->step];
        }
        w->at += w->backward ? -1 : 1, w->step = 0;
    }
    return 0;
}

/* Finds the next phase; returns the number of its steps. */
static int32_t mls__pass_phase(const mls_net *net, mls__pass *w)
{
    const mls_step *step;
    w->count = 0;
    while ((step = mls__pass_next(net, w)) != 0) {
        const int full = w->count >= (mls__of_images(step) ? w->most : (int32_t)MLS__PHASE_MOST);
        const int waits = mls__waits(step, net->nodes[w->at].planned & MLS__IF_EARLY);
        if (w->count && (waits || full)) break;
        w->steps[w->count] = step, w->node[w->count++] = w->at;
        w->step++;
        if (waits) break;
    }
    return w->count;
}

/* Leaves out what the pass and the formats at hand do not need. Phases are cut as they were planned. */
static void mls__phase_now(const mls_net *net, mls__pass *w)
{
    int32_t count = 0;
    for (int32_t j = 0; j < w->count; j++) {
        if (w->steps[j]->when & ~(w->facts | net->nodes[w->node[j]].facts)) continue;
        w->steps[count] = w->steps[j], w->node[count++] = w->node[j];
    }
    w->count = count;
}

/* Steps from .. to - 1 of a phase on one part of the images: an image, or a block of them where sums of
   floats need it. */
static void mls__phase_part(mls_net *net, const mls__pass *w, int32_t from, int32_t to, int blocks,
                            int32_t part)
{
    const int32_t first = blocks ? mls_conv_block_first(part, net->images) : part;
    const int32_t last = blocks ? mls_conv_block_first(part + 1, net->images) : part + 1;
    for (int32_t n = first; n < last; n++)
        for (int32_t j = from; j < to; j++) {
            if (!mls__of_images(w->steps[j])) continue;
            mls__step_run(net, w->steps[j], w->node[j], n, MLS__THREAD());
        }
}

/* The images of a phase in parts, a queue of them for each thread. */
typedef struct mls__queues {
    mls_net *net;
    const mls__pass *pass;
    int32_t from, to; /* steps */
    int blocks;       /* parts are blocks of images, not images */
    int32_t parts, threads, next[MLS__MOST_THREADS];
} mls__queues;

/* The first part of a thread's queue; of the last thread's successor: what is behind all. */
static int32_t mls__queue_first(const mls__queues *q, int32_t thread)
{
    return (int32_t)((int64_t)q->parts * thread / q->threads);
}

/* Takes the parts of this thread's own queue, the same in every phase, since its cache may still hold
   them, and then what others have left. */
static void mls__queues_run(mls__queues *q)
{
    const mls__pass *w = q->pass;
    for (int32_t t = 0; t < q->threads; t++) {
        const int32_t of = (MLS__THREAD() + t) % q->threads, end = mls__queue_first(q, of + 1);
        for (int32_t part;;) {
            MLS__OMP(omp atomic capture)
            part = q->next[of]++;
            if (part >= end) break;
            mls__phase_part(q->net, w, q->from, q->to, q->blocks, part);
        }
    }
    for (int32_t j = q->from; j < q->to; j++) {
        if (w->steps[j]->serial != MLS__LEAVE) continue;
        mls__step_run(q->net, w->steps[j], w->node[j], 0, MLS__THREAD());
    }
}

/* Runs steps from .. to - 1 of a phase on all images. Threads help by tasks, which nobody waits for before
   they have begun: beside a busy program a thread may come late, and finds that its work is done. */
static void mls__phase_images(mls_net *net, const mls__pass *w, int32_t from, int32_t to)
{
    mls__queues q;
    q.net = net, q.pass = w, q.from = from, q.to = to, q.blocks = 0;
    q.parts = net->images, q.threads = net->threads;
    for (int32_t j = from; j < to; j++) q.blocks |= w->steps[j]->serial == MLS__EACH_OF_BLOCK;
    if (q.blocks && q.parts > MLS_CONV_BLOCKS) q.parts = MLS_CONV_BLOCKS;
    if (q.threads > q.parts) q.threads = q.parts;
    for (int32_t t = 0; t < q.threads; t++) q.next[t] = mls__queue_first(&q, t);
    for (int32_t t = 1; t < q.threads; t++) {
        MLS__OMP(omp task shared(q))
        mls__queues_run(&q);
    }
    mls__queues_run(&q);
    MLS__OMP(omp taskwait)
}

/* Whether a step of the phase at hand must wait for all images. */
static int mls__phase_waits(const mls_net *net, const mls__pass *w, int32_t j)
{
    return mls__waits(w->steps[j], net->training && net->nodes[w->node[j]].facts & MLS__IF_EARLY);
}

/* Runs a phase: what begins early, what is of images, and in evaluation what that must wait for, then what
   nobody waits for. */
static void mls__phase_run(mls_net *net, const mls__pass *w)
{
    for (int32_t j = 0; j < w->count && net->status == MLS_OK; j++) {
        if (w->steps[j]->serial != MLS__BEGIN || mls__phase_waits(net, w, j)) continue;
        mls__step_run(net, w->steps[j], w->node[j], 0, 0);
    }
    for (int32_t at = 0, to = 0; at < w->count && net->status == MLS_OK; at = to + 1) {
        for (to = at; to < w->count && !mls__phase_waits(net, w, to);) to++;
        if (to > at) mls__phase_images(net, w, at, to);
        if (to < w->count) mls__step_run(net, w->steps[to], w->node[to], 0, 0);
    }
    for (int32_t j = 0; j < w->count && net->status == MLS_OK; j++) {
        if (w->steps[j]->serial == MLS_AFTER) mls__step_run(net, w->steps[j], w->node[j], 0, 0);
    }
}

static uint64_t mls__net_identity(const mls_net *net);

/* Format by format: for more bytes at once clang takes bcmp, and C has none. */
static int mls__same_formats(const mls_node *a, const mls_node *b)
{
    int same = 1;
    for (int o = 0; o < MLS__OPERANDS; o++) {
        same &= memcmp(&a->format[o], &b->format[o], sizeof(mls_format)) == 0;
    }
    return same;
}

/* Whether a network can take the weights of another one as they are now. */
static mls_status mls__share_check(mls_net *net)
{
    const mls_net *owner = mls__owner(net);
    int same;
    if (owner->planned != 2 || !owner->packed) {
        return mls__fail(net, MLS_ERROR_STATE, -1, "mls_net_pack of weights_of comes first");
    }
    same = owner->count == net->count && mls__net_identity(owner) == mls__net_identity(net) &&
           mls__has_numbers(net);
    for (int32_t i = 0; i < net->count && same; i++) {
        const mls_node *a = &net->nodes[i], *b = &owner->nodes[i];
        same = a->weights_at == b->weights_at && a->states_at == b->states_at &&
               mls__same_formats(a, b);
        for (int k = 0; k < MLS__BUFFERS && same; k++) {
            if (a->buffer[k].last >= 0 && b->buffer[k].last >= 0) continue;
            same = a->buffer[k].last == b->buffer[k].last && a->buffer[k].at == b->buffer[k].at &&
                   a->buffer[k].size == b->buffer[k].size;
        }
    }
    if (same) return MLS_OK;
    return mls__fail(net, MLS_ERROR_STATE, -1, "weights_of has other layers or formats");
}

/* Quantizes and packs the weights of an inference network: the steps that depend on nothing else, which
   no pass of it has. */
static void mls__pack(mls_net *net)
{
    const mls_net *owner = mls__owner(net);
    net->training = net->packed = 0;
    if (owner != net && mls__share_check(net) != MLS_OK) return;
    for (int32_t i = 0; i < net->count && net->status == MLS_OK; i++) {
        const mls_node *node = &net->nodes[i];
        const mls_step *step = node->kind->forward;
        if (owner != net && mls__convolves(node)) continue; /* the owner has done that */
        for (; step && step->run && net->status == MLS_OK; step++) {
            if (!(step->when & MLS__IF_WEIGHTS)) continue;
            if (step->when & ~(node->facts | MLS_IF_EVALUATION | MLS__IF_WEIGHTS)) continue;
            mls__step_run(net, step, i, 0, 0);
        }
    }
    if (net->status == MLS_OK) net->packed = owner != net ? owner->packed : ++net->packings;
}

/* Whether weights have changed since. */
static int mls__stale(const mls_net *net)
{
    return net->desc.inference && (!net->packed || net->packed != mls__owner(net)->packed);
}

/* Shows the operands that a step of node i has given codes, to every node that takes them. */
static void mls__show_codes(mls_net *net, const mls_step *step, int32_t i)
{
    if (step->run != mls__conv_weights && step->run != mls__conv_codes &&
        step->run != mls__conv_codes_all) {
        return;
    }
    for (int o = 0; o < MLS__OPERANDS; o++) {
        if (!(step->writes & mls__codes_flag(o)) || !mls__operand_own(&net->nodes[i], o)) continue;
        for (int32_t k = i; k < net->count; k++) {
            if (!mls__convolves(&net->nodes[k]) || mls__operand_owner(net, k, o) != i) continue;
            net->see(net->see_user, k, o, mls__operand_at(net, i, o, 0),
                     mls__operand_values(net, i, o));
        }
    }
}

/* Runs a pass, until an error. To be seen, a step at a time: the next may overwrite what it read. */
static void mls__pass_steps(mls_net *net, uint32_t facts, int backward)
{
    mls__pass w = mls__pass_start(net, facts, backward);
    if (net->see) w.most = 1;
    while (net->status == MLS_OK && mls__pass_phase(net, &w)) {
        mls__phase_now(net, &w);
        mls__phase_run(net, &w);
        for (int32_t j = 0; net->see && net->status == MLS_OK && j < w.count; j++) {
            mls__show_codes(net, w.steps[j], w.node[j]);
        }
    }
}

/* The calling thread walks, the others wait for tasks. */
static void mls__pass_run(mls_net *net, uint32_t facts, int backward)
{
    MLS__OMP(omp parallel num_threads(net->threads))
    {
        MLS__OMP(omp master)
        mls__pass_steps(net, facts, backward);
    }
}

/* ----------------------------------------------------------------------------------- >>plan
   Where everything lies: buffers share memory where no phase uses both. */

/* Whether inputs a and b of an addition may share its gradient: nothing may write to it for one of
   them (its own backward in place, or another consumer of it) before the other has read it. The
   walk goes from high numbers to low ones. */
static int mls__may_share(const mls_net *net, int32_t add, int32_t a, int32_t b)
{
    const int32_t pair[2] = {a, b};
    for (int j = 0; j < 2; j++) {
        int32_t self = pair[j], other = pair[1 - j];
        if (self == other) return 0;
        if (net->nodes[self].kind->flags & MLS_IN_PLACE && self > other) return 0;
        for (int32_t k = 0; k < add; k++) {
            const mls_node *node = &net->nodes[k];
            if ((node->in[0] == self || node->in[1] == self) && k >= other) return 0;
        }
    }
    return 1;
}

/* Whether the gradient of node i may become that of its input j. */
static int mls__hands_over(const mls_net *net, int32_t i, int j)
{
    const mls_node *node = &net->nodes[i];
    const uint32_t flags = node->kind->flags;
    if (flags & MLS__DX_IN_PLACE) {
        for (int32_t k = 0; k < i; k++) { /* that waits for the same gradient */
            if (net->nodes[k].has_grad && net->nodes[k].grad_of == node->grad_of) return 0;
        }
        return 1;
    }
    if (!(flags & MLS_IN_PLACE) || (node->in[1] >= 0 && !(flags & MLS__PASSES))) return 0;
    return j == 0 || node->give[0] != MLS__HAND_OVER ||
           mls__may_share(net, i, node->in[0], node->in[1]);
}

/* Decides where gradients live, in the order of the backward walk. */
static void mls__plan_gradients(mls_net *net)
{
    for (int32_t i = 0; i < net->count; i++) {
        mls_node *node = &net->nodes[i];
        node->grad_of = i, node->has_grad = 0;
        node->give[0] = node->give[1] = MLS__NOTHING;
    }
    for (int32_t i = net->count - 1; i >= 0; i--) {
        mls_node *node = &net->nodes[i];
        const uint32_t fact = node->trained ? MLS_IF_TRAINED : MLS_IF_FROZEN;
        node->facts |= fact, node->planned |= fact;
        for (int j = 0; j < 2 && node->in[j] >= 0; j++) {
            mls_node *x = &net->nodes[node->in[j]];
            if (!x->learns) continue;
            node->facts |= MLS_IF_WANTED, node->planned |= MLS_IF_WANTED;
            node->give[j] = x->has_grad ? MLS__ACCUMULATE : MLS__WRITE;
            if (!x->has_grad && mls__hands_over(net, i, j)) {
                node->give[j] = MLS__HAND_OVER;
                x->grad_of = node->grad_of;
            }
            x->has_grad = 1;
        }
    }
}

static int mls__reads(const mls_step *steps, uint32_t what)
{
    for (; steps && steps->run; steps++) {
        if (steps->reads & what) return 1;
    }
    return 0;
}

/* Whether the output of a node is read when what follows it may have been computed: by its backward pass,
   or by a forward step that nobody waits for. */
static int mls__reads_late(const mls_node *node)
{
    for (const mls_step *step = node->kind->forward; step && step->run; step++) {
        if (step->serial == MLS_AFTER && step->reads & MLS_Y) return 1;
    }
    return node->learns && mls__reads(node->kind->backward, MLS_Y);
}

static int mls__is_norm(const mls_node *node)
{
    return node->kind == &mls__batch_norm || node->kind == &mls__l1_norm;
}

/* Whether backward does not read the input: of a norm that is not trained, of a gelu with nothing to learn
   below. */
static int mls__leaves_x(const mls_node *node)
{
    if (mls__is_norm(node)) return !node->trained;
    return node->kind->flags & MLS_IN_PLACE ||
           (node->kind->flags & MLS__DX_IN_PLACE && !node->learns);
}

/* Which outputs are computed in place: nothing reads what they overwrite any more. */
static void mls__plan_values(mls_net *net)
{
    for (int32_t i = 0; i < net->count; i++) {
        mls_node *node = &net->nodes[i];
        node->value_of = i;
        if (mls__leaves_x(node)) {
            const mls_node *x = &net->nodes[node->in[0]];
            if (x->consumers == 1 && x->in[0] >= 0 && !mls__reads_late(x)) {
                node->value_of = x->value_of;
            }
        }
    }
}

/* Bytes of the buffers that any layer may have, and of the scratch of a thread. */
static void mls__plan_buffers(mls_net *net)
{
    for (int32_t i = 0; i < net->count; i++) {
        mls_node *node = &net->nodes[i];
        const size_t bytes = mls__elements(node->shape) * sizeof(float);
        const size_t batch = (size_t)node->shape.n;
        const int computes = node->in[0] >= 0 && !(node->kind->flags & MLS_LOSS);
        size_t scratch = 0;
        if (computes && node->value_of == i) node->buffer[MLS__VALUE].size = bytes;
        if (computes && node->grad_of == i) node->buffer[MLS__GRAD].size = bytes;
        node->buffer[MLS__KEEP].size = batch * node->keep;
        node->buffer[MLS__SUMS].size = batch * node->sums * sizeof(double);
        for (int j = 0; j < 2 && !(node->kind->flags & MLS__PASSES); j++) {
            if (node->give[j] == MLS__ACCUMULATE) {
                scratch += mls__image(net->nodes[node->in[j]].shape);
            }
        }
        if (mls__up(scratch) * sizeof(float) > net->scratch_step) {
            net->scratch_step = mls__up(scratch) * sizeof(float);
        }
    }
}

/* Notes that a phase uses a buffer. What is read must have been written; in inference and frozen nodes a step
   may read what only training writes to MLS_KEEP or MLS_SUMS: it is given null. */
static void mls__use_buffer(mls_net *net, int32_t i, int which, int32_t phase, int reads)
{
    mls__buffer *b = &net->nodes[i].buffer[which];
    const int frozen = net->desc.inference || net->nodes[i].rate == 0;
    if (!b->size || b->last < 0) return;
    if (!b->last && reads) {
        if (frozen && (which == MLS__KEEP || which == MLS__SUMS)) return;
        net->status = MLS_ERROR_STATE;
    }
    if (!b->last) b->first = phase;
    b->last = phase;
}

/* Notes that a phase uses the operands of a product, as codes or as fp32, and returns what else it takes:
   the activation or the error as it is. */
static uint32_t mls__use_operands(mls_net *net, int32_t i, int d, int32_t phase, int reads)
{
    const mls_node *node = &net->nodes[i];
    uint32_t uses = 0;
    for (int k = 0; k < 2 * MLS__FORMS; k++) {
        const int j = k / MLS__FORMS, form = k % MLS__FORMS;
        const int of_first = form == MLS__AS_CODES_OF_FIRST || form == MLS__AS_FP32_OF_FIRST;
        const int o = mls__operands[d][j] - (of_first ? MLS__ROLES : 0), role = o % MLS__ROLES;
        const int which = form < MLS__AS_FP32 ? MLS__QUANTIZED : MLS__DEQUANTIZED;
        if (!(node->uses & mls__use_bit(d, j, form))) continue;
        if (form == MLS__AS_IT_IS) {
            uses |= role == MLS__A ? MLS_X : role == MLS__E ? MLS_DY : 0;
        } else {
            mls__use_buffer(net, mls__operand_owner(net, i, o), which + o, phase, reads);
        }
    }
    return uses;
}

/* Notes that a phase uses what a step says it reads or writes. */
static void mls__use(mls_net *net, int32_t i, uint32_t uses, int32_t phase, int reads)
{
    const mls_node *node = &net->nodes[i];
    for (int d = 0; d < 3; d++) {
        if (!(uses & (uint32_t)MLS__FOR_FORWARD << d)) continue;
        uses |= mls__use_operands(net, i, d, phase, reads);
    }
    for (int o = 0; o < MLS__OPERANDS; o++) {
        if (!(uses & mls__codes_flag(o))) continue;
        mls__use_buffer(net, i, MLS__QUANTIZED + o, phase, reads);
        mls__use_buffer(net, i, MLS__DEQUANTIZED + o, phase, 0);
    }
    for (int j = 0; j < 2 && node->in[j] >= 0; j++) {
        const mls_node *x = &net->nodes[node->in[j]];
        if (uses & MLS_X && x->in[0] >= 0)
            mls__use_buffer(net, x->value_of, MLS__VALUE, phase, reads);
        if (uses & MLS_DX && node->give[j] != MLS__NOTHING) {
            mls__use_buffer(net, x->grad_of, MLS__GRAD, phase, reads);
        }
    }
    if (uses & MLS_Y) mls__use_buffer(net, node->value_of, MLS__VALUE, phase, reads);
    if (uses & MLS_DY) mls__use_buffer(net, node->grad_of, MLS__GRAD, phase, reads);
    if (uses & MLS_KEEP) mls__use_buffer(net, i, MLS__KEEP, phase, reads);
    if (uses & MLS_SUMS) mls__use_buffer(net, i, MLS__SUMS, phase, reads);
    if (uses & MLS__NORM_SUMS) {
        mls__use_buffer(net, mls__conv_norm(net, i), MLS__SUMS, phase, reads);
    }
}

/* The weights of an inference network as its calls take them: beside what passes come and go through.
   Returns their size. */
static size_t mls__plan_packed(mls_net *net)
{
    static const int kept[] = {MLS__QUANTIZED + MLS__W, MLS__DEQUANTIZED + MLS__W, MLS__PACKED};
    size_t total = 0;
    for (int32_t i = 0; i < net->count && net->desc.inference; i++) {
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
            mls__buffer *b = &net->nodes[i].buffer[kept[k]];
            if (!b->size) continue;
            b->at = total, b->last = -1;
            total += mls__align(b->size, MLS__ALIGN);
        }
    }
    return total;
}

/* The phases that use each buffer: of training, with the steps of evaluation where they would be; or of
   evaluation alone. */
static mls_status mls__plan_lifetimes(mls_net *net)
{
    int32_t phase = 1;
    for (int backward = 0; backward < (net->desc.inference ? 1 : 2); backward++) {
        mls__pass w = mls__pass_start(net, 0, backward);
        for (; mls__pass_phase(net, &w); phase++) {
            for (int32_t j = 0; j < w.count; j++) {
                mls__use(net, w.node[j], w.steps[j]->reads, phase, 1);
                mls__use(net, w.node[j], w.steps[j]->writes, phase, 0);
                if (net->status == MLS_OK) continue;
                return mls__fail(net, MLS_ERROR_STATE, w.node[j],
                                 "a step reads what no step before it writes");
            }
        }
    }
    mls__use(net, net->count - 1, MLS_X, phase, 1);       /* for mls_net_logits */
    for (size_t k = 0; k < mls__buffer_count(net); k++) { /* of training alone */
        mls__buffer *b = mls__buffer_number(net, k);
        if (!b->last) b->size = 0;
    }
    return MLS_OK;
}

/* Whether two buffers are in use at the same time. */
static int mls__overlap(const mls__buffer *a, const mls__buffer *b)
{
    return a->last >= b->first && b->last >= a->first;
}

/* The largest buffer that has no place yet; null: all have one. */
static mls__buffer *mls__largest_unplaced(const mls_net *net)
{
    mls__buffer *most = 0;
    for (size_t k = 0; k < mls__buffer_count(net); k++) {
        mls__buffer *b = mls__buffer_number(net, k);
        if (b->at == SIZE_MAX && (!most || b->size > most->size)) most = b;
    }
    return most;
}

/* Places buffers, the largest first, each at the lowest address that is free during its phases.
   Returns the size of the region. */
static size_t mls__plan_place(mls_net *net)
{
    const size_t buffers = mls__buffer_count(net);
    mls__buffer *most;
    size_t total = 0;
    for (size_t k = 0; k < buffers; k++) {
        mls__buffer *b = mls__buffer_number(net, k);
        if (b->last >= 0) b->at = b->size ? SIZE_MAX : 0;
    }
    while ((most = mls__largest_unplaced(net)) != 0) {
        const size_t size = mls__align(most->size, MLS__ALIGN);
        size_t at = 0;
        for (int moved = 1; moved;) {
            moved = 0;
            for (size_t k = 0; k < buffers; k++) {
                const mls__buffer *b = mls__buffer_number(net, k);
                const size_t end = b->at + mls__align(b->size, MLS__ALIGN);
                if (!b->size || b->at == SIZE_MAX || !mls__overlap(b, most)) continue;
                if (at < end && b->at < at + size) at = end, moved = 1;
            }
        }
        most->at = at;
        if (at + size > total) total = at + size;
    }
    return total;
}

/* Whether everything together stays far from overflowing a size. */
static int mls__plan_fits(const mls_net *net)
{
    size_t left = SIZE_MAX / 8, floats = left / (8 * sizeof(float));
    uint64_t macs = INT64_MAX;
    for (int32_t i = 0; i < net->count; i++) {
        const mls_node *node = &net->nodes[i];
        size_t some = node->weights + node->seconds + node->states + node->constants +
                      16 * (size_t)node->shape.c;
        uint64_t pixels = (uint64_t)node->shape.h * (uint64_t)node->shape.w;
        if (some > floats || node->weights > macs / pixels) return 0;
        floats -= some, macs -= node->weights * pixels;
        for (int b = 0; b < MLS__BUFFERS; b++) {
            if (node->buffer[b].size > left) return 0;
            left -= node->buffer[b].size;
        }
    }
    return net->work_size[0] < SIZE_MAX / 8 && net->work_size[1] < SIZE_MAX / 8;
}

/* Whether the nodes make a network; what layers want to check themselves. */
static mls_status mls__plan_check(mls_net *net)
{
    if (!net->count || !(net->nodes[net->count - 1].kind->flags & MLS_LOSS)) {
        return mls__fail(net, MLS_ERROR_STATE, -1, "the last node must be a loss");
    }
    net->images = net->desc.batch;
    net->work_size[0] = net->work_size[1] = net->scratch_step = 0;
    for (int32_t i = 0; i < net->count; i++) {
        mls_node *node = &net->nodes[i];
        mls_work w;
        mls__work_of(&w, net, i);
        memset(node->buffer, 0, sizeof node->buffer);
        node->facts = node->planned = 0;
        node->trained = node->rate != 0 && node->weights + node->seconds && !net->desc.inference;
        node->learns = node->trained;
        for (int j = 0; j < 2 && node->in[j] >= 0; j++) {
            node->learns |= net->nodes[node->in[j]].learns;
        }
        if (!node->consumers && i != net->count - 1) {
            return mls__fail(net, MLS_ERROR_STATE, i, "nothing uses it");
        }
        if (node->kind->plan && node->kind->plan(&w) != MLS_OK) return net->status;
    }
    return MLS_OK;
}

/* The places of the numbers of each node: weights of the trained ones first. */
static void mls__plan_numbers(mls_net *net)
{
    net->parameters = net->trained = net->states = net->constants = 0;
    for (int32_t k = 0; k < 2 * net->count; k++) {
        mls_node *node = &net->nodes[k % net->count];
        if (k < net->count) {
            node->states_at = net->states, node->constants_at = net->constants;
            net->states += mls__up(node->states), net->constants += mls__up(node->constants);
        }
        if (node->trained != (k < net->count)) continue;
        node->weights_at = net->parameters;
        net->parameters += mls__up(node->weights) + mls__up(node->seconds);
        if (node->trained) net->trained = net->parameters;
    }
}

/* Takes size bytes of the arena. */
static size_t mls__plan_take(mls_net *net, size_t size)
{
    const size_t at = net->arena_size;
    net->arena_size += mls__align(size, MLS__ALIGN);
    return at;
}

/* The parts of the arena: numbers, packed weights, buffers, scratch (of threads, and after them of the
   gradient of a layer's weights), workspace of convolutions. */
static void mls__plan_addresses(mls_net *net, size_t packed)
{
    size_t scratch = (size_t)net->threads * net->scratch_step;
    for (int32_t i = 0; i < net->count; i++) {
        const size_t fresh = net->nodes[i].weights * sizeof(float);
        if (fresh > scratch && net->nodes[i].trained) scratch = fresh;
    }
    net->arena_size = 0;
    if (!net->desc.weights_of) {
        mls__plan_take(net, mls__numbers_count(net) * sizeof(float));
        net->packed_at = mls__plan_take(net, packed);
    }
    net->constants_at = mls__plan_take(net, net->constants * sizeof(float));
    net->values_at = mls__plan_take(net, mls__plan_place(net));
    net->scratch_at = mls__plan_take(net, scratch);
    for (int i = 0; i < 2; i++) net->work_at[i] = mls__plan_take(net, net->work_size[i]);
    net->arena_size += MLS__ALIGN - 1;
}

static void mls__plan_report(const mls_net *net, mls_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan->arena = net->arena_size;
    plan->parameters = net->values_at;
    plan->values = net->scratch_at - net->values_at;
    plan->scratch = net->arena_size - (MLS__ALIGN - 1) - net->scratch_at;
    plan->threads = net->threads;
    for (int32_t i = 0; i < net->count; i++) {
        mls_layer layer;
        mls_net_layer(net, i, &layer);
        plan->weights += layer.weights;
        if (net->nodes[i].rate == 0) plan->frozen += layer.weights;
        plan->macs += layer.macs;
        if (mls__integer(&net->nodes[i], MLS_FORWARD)) plan->macs_low += layer.macs;
    }
}

MLS_DEF mls_status mls_net_plan(mls_net *net, mls_plan *plan)
{
    size_t packed;
    if (!net) return MLS_ERROR_ARGUMENT;
    if (net->status != MLS_OK) return net->status;
    if (net->planned) return mls__fail(net, MLS_ERROR_STATE, -1, "the network is planned already");
    net->text[0] = 0;
    net->threads = MLS__THREADS();
    if (net->threads > MLS__MOST_THREADS) net->threads = MLS__MOST_THREADS;
    if (net->desc.weights_of && (!net->desc.inference || !net->desc.weights_of->desc.inference ||
                                 net->desc.weights_of->desc.weights_of)) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1,
                         "weights_of is for inference, of a network with weights of its own");
    }
    if (mls__plan_check(net) != MLS_OK) return net->status;
    mls__plan_numbers(net);
    mls__plan_values(net);
    mls__plan_gradients(net);
    mls__plan_buffers(net);
    if (!mls__plan_fits(net)) {
        return mls__fail(net, MLS_ERROR_SHAPE, -1, "the network is too large to address");
    }
    packed = mls__plan_packed(net);
    if (mls__plan_lifetimes(net) != MLS_OK) return net->status;
    mls__plan_addresses(net, packed);
    net->planned = 1;
    if (plan) mls__plan_report(net, plan);
    return MLS_OK;
}

/* Some layers, as mls_net_formats has them: of a kind, or (null) by the numbers of their nodes. */
typedef struct mls__chosen {
    const mls_layer_kind *kind;
    int32_t first, last;
} mls__chosen;

static int32_t mls__read_int(const char **text)
{
    int32_t value = 0;
    while (**text >= '0' && **text <= '9' && value < INT32_MAX / 16) {
        value = value * 10 + (*(*text)++ - '0');
    }
    return value;
}

/* Reads conv, conv2, conv2-7, 3 or 3-9, up to end. */
static int mls__choose_layers(mls__chosen *to, const char *text, const char *end)
{
    static const struct {
        const char *word;
        const mls_layer_kind *kind;
    } kinds[] = {{"conv", &mls__convolution}, {"linear", &mls__linear}};
    const char *at;
    to->kind = 0, to->first = 0, to->last = INT32_MAX;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t n = strlen(kinds[i].word);
        if (strncmp(text, kinds[i].word, n) == 0) to->kind = kinds[i].kind, text += n;
    }
    if (text == end) return to->kind != 0;
    at = text;
    to->first = to->last = mls__read_int(&text);
    if (text == at) return 0;
    if (*text == '-') {
        at = ++text;
        to->last = mls__read_int(&text);
        if (text == at) return 0;
    }
    return text == end;
}

static int mls__is_chosen(const mls_net *net, const mls__chosen *chosen, int32_t i)
{
    int32_t at = chosen->kind ? 0 : i; /* the first of a kind is 1 */
    if (chosen->kind && net->nodes[i].kind != chosen->kind) return 0;
    for (int32_t k = 0; chosen->kind && k <= i; k++) at += net->nodes[k].kind == chosen->kind;
    return at >= chosen->first && at <= chosen->last;
}

/* Splits LAYERS=WHAT; returns WHAT, or null after an error. */
static const char *mls__read_chosen(mls_net *net, const char *word, const char *what,
                                    mls__chosen *chosen)
{
    size_t equals = 0;
    while (word[equals] && word[equals] != '=') equals++;
    if (word[equals] && mls__choose_layers(chosen, word, word + equals)) return word + equals + 1;
    mls__fail(net, MLS_ERROR_FORMAT, -1, "want LAYERS=");
    mls__say(net->text, sizeof net->text, what);
    mls__say(net->text, sizeof net->text, ", not ");
    mls__say(net->text, sizeof net->text, word);
    return 0;
}

static mls_status mls__none_chosen(mls_net *net, const char *word)
{
    mls__fail(net, MLS_ERROR_ARGUMENT, -1, "there is no such layer: ");
    mls__say(net->text, sizeof net->text, word);
    return net->status;
}

/* LAYERS=FORMATS */
static mls_status mls__formats_of_layers(mls_net *net, const char *word)
{
    char wrong[120];
    mls__chosen chosen;
    mls_formats formats;
    int32_t given = 0;
    const char *what = mls__read_chosen(net, word, "FORMATS", &chosen);
    if (!what) return net->status;
    if (mls_formats_parse(&formats, what, wrong, sizeof wrong) != MLS_OK) {
        return mls__fail(net, MLS_ERROR_FORMAT, -1, wrong);
    }
    for (int32_t i = 0; i < net->count; i++) {
        if (!mls__convolves(&net->nodes[i]) || !mls__is_chosen(net, &chosen, i)) continue;
        if (mls_net_format(net, i, &formats) != MLS_OK) return net->status;
        given++;
    }
    return given ? MLS_OK : mls__none_chosen(net, word);
}

/* Reads digits with, or without, a point and six more; 0: it is something else. */
static int mls__read_rate(const char *text, float *rate)
{
    const char *at = text;
    int32_t whole = mls__read_int(&text), part = 0, unit = 1;
    int digits = text > at;
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9' && unit < 1000000; text++, digits++) {
            part = part * 10 + (*text - '0'), unit *= 10;
        }
    }
    *rate = (float)(((double)whole * unit + part) / unit);
    return digits && !*text;
}

/* LAYERS=RATE */
static mls_status mls__rate_of_layers(mls_net *net, const char *word)
{
    mls__chosen chosen;
    float rate;
    int32_t given = 0;
    const char *what = mls__read_chosen(net, word, "RATE", &chosen);
    if (!what) return net->status;
    if (!mls__read_rate(what, &rate)) {
        mls__fail(net, MLS_ERROR_FORMAT, -1, "not a rate: ");
        mls__say(net->text, sizeof net->text, what);
        return net->status;
    }
    for (int32_t i = 0; i < net->count; i++) {
        const mls_node *node = &net->nodes[i];
        const int32_t at = chosen.kind && mls__is_norm(node) ? node->in[0] : i;
        if (!mls__is_chosen(net, &chosen, at)) continue;
        if (mls_net_rate(net, i, rate) != MLS_OK) return net->status;
        given++;
    }
    return given ? MLS_OK : mls__none_chosen(net, word);
}

/* Does what each of the words between semicolons says. */
static mls_status mls__of_layers(mls_net *net, const char *text,
                                 mls_status (*of_layers)(mls_net *, const char *))
{
    if (!net) return MLS_ERROR_ARGUMENT;
    mls__clear(net);
    if (net->status != MLS_OK) return net->status;
    if (!text) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "no text that says which layers");
    while (net->status == MLS_OK) {
        char word[MLS_FORMATS_TEXT + 32] = {0};
        size_t length = 0;
        while (*text == ' ' || *text == ';') text++;
        if (!*text) break;
        while (text[length] && text[length] != ';') length++;
        if (length >= sizeof word) {
            return mls__fail(net, MLS_ERROR_FORMAT, -1, "too long for LAYERS=FORMATS");
        }
        memcpy(word, text, length);
        of_layers(net, word);
        text += length;
    }
    return net->status;
}

MLS_DEF mls_status mls_net_formats(mls_net *net, const char *text)
{
    return mls__of_layers(net, text, mls__formats_of_layers);
}

MLS_DEF mls_status mls_net_rates(mls_net *net, const char *text)
{
    return mls__of_layers(net, text, mls__rate_of_layers);
}

/* Whether all serial steps of a backward pass say if they are for trained numbers. */
static int mls__tells_frozen(const mls_step *steps)
{
    for (; steps && steps->run; steps++) {
        if (steps->serial == MLS_EACH || steps->when & (MLS_IF_TRAINED | MLS_IF_FROZEN)) continue;
        return 0;
    }
    return 1;
}

MLS_DEF mls_status mls_net_rate(mls_net *net, int32_t index, float rate)
{
    mls_node *node;
    if (!net) return MLS_ERROR_ARGUMENT;
    mls__clear(net);
    if (net->status != MLS_OK) return net->status;
    if (index < 0 || index >= net->count) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "mls_net_rate of a node that is not there");
    }
    node = &net->nodes[index];
    if (!(rate >= 0) || rate - rate != 0) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, index, "its rate is below 0 or not finite");
    }
    if (rate == 0 && node->custom && node->weights + node->seconds &&
        !mls__tells_frozen(node->kind->backward)) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, index,
                         "it cannot be frozen: a serial step backward says neither "
                         "MLS_IF_TRAINED nor MLS_IF_FROZEN");
    }
    if (net->planned && (rate == 0) != (node->rate == 0)) {
        return mls__fail(net, MLS_ERROR_STATE, index, "it is planned to be frozen, or not to be");
    }
    node->rate = rate;
    return MLS_OK;
}

/* Refuses to compute where the answer would be another one. */
static mls_status mls__net_floats(mls_net *net)
{
    if (mls__floats_good(net->threads)) return MLS_OK;
    return mls__fail(net, MLS_ERROR_FLOATS, -1,
                     "the host changed how floats behave in a thread: they must round to nearest "
                     "and keep small numbers");
}

/* Gives the average of states so much of the new ones. */
static void mls__average_states(const mls_net *net, float fresh)
{
    for (int32_t i = 0; net->desc.average && i < net->count; i++) {
        const mls_node *node = &net->nodes[i];
        if (node->rate == 0) continue;
        mls__layer_kernels[mls__unit()].average(mls__node_states(net, node, 1),
                                                mls__node_states(net, node, 0),
                                                mls__up(node->states), fresh);
    }
}

/* The average of numbers that are new. */
static void mls__average_start(const mls_net *net)
{
    float *w, *a;
    if (!net->desc.average) return;
    w = mls__floats(net, 0), a = w + mls__average_at(net);
    memcpy(a, w, net->trained * sizeof(float));
    memcpy(a + net->trained, w + mls__states_at(net), net->states * sizeof(float));
}

MLS_DEF mls_status mls_net_bind(mls_net *net, void *arena, size_t size)
{
    uint8_t *p = (uint8_t *)arena;
    if (!net) return MLS_ERROR_ARGUMENT;
    mls__clear(net);
    if (net->status != MLS_OK) return net->status;
    if (!net->planned) {
        mls__fail(net, MLS_ERROR_STATE, -1, "mls_net_plan comes first");
        net->status = MLS_OK; /* as in mls__bound */
        return MLS_ERROR_STATE;
    }
    if (!p) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "no arena");
    if (size < net->arena_size) {
        return mls__fail(net, MLS_ERROR_MEMORY, -1, "the arena is smaller than the plan says");
    }
    if (mls__net_floats(net) != MLS_OK) return net->status;
    net->arena = p + mls__skip(p);
    memset(net->arena, 0, net->arena_size - (MLS__ALIGN - 1));
    net->step = net->updates = net->images_pending = 0;
    net->packed = net->averaged = 0;
    net->images = net->desc.batch;
    for (int32_t i = 0; i < net->count; i++) {
        const uint64_t seed = mls_seed(mls_seed(net->desc.seed, 0x1517), (uint64_t)i);
        mls_work w;
        if (net->desc.weights_of) break;
        mls__work_of(&w, net, i);
        mls__work_numbers(&w);
        if (net->nodes[i].kind->init) net->nodes[i].kind->init(&w, seed);
        net->nodes[i].coded = 0;
    }
    mls__average_start(net);
    net->images = 0;
    net->planned = 2;
    return MLS_OK;
}

MLS_DEF const float *mls_net_logits(const mls_net *net)
{
    if (!net || net->planned != 2 || !net->images) return 0;
    return mls__value(net, net->nodes[net->count - 1].in[0], 0);
}

static float *mls__numbers(mls_net *net, int32_t i, int second, size_t *count, int gradient)
{
    const mls_node *node;
    float *at;
    if (count) *count = 0;
    if (!net || i < 0 || i >= net->count || !mls__has_numbers(net)) return 0;
    node = &net->nodes[i];
    at = gradient ? mls__gradients_at(net, node) : mls__node_weights(net, node, net->averaged);
    if (!at || !(second ? node->seconds : node->weights)) return 0;
    if (count) *count = second ? node->seconds : node->weights;
    return at + (second ? mls__up(node->weights) : 0);
}

MLS_DEF float *mls_net_weights(mls_net *net, int32_t i, int second, size_t *count)
{
    return mls__numbers(net, i, second, count, 0);
}

MLS_DEF float *mls_net_gradients(mls_net *net, int32_t i, int second, size_t *count)
{
    return mls__numbers(net, i, second, count, 1);
}

static void mls__tensor_name(const mls_net *net, const mls_net_tensor *t, char *to, size_t size)
{
    const mls_node *node = &net->nodes[t->node];
    to[0] = 0;
    mls__say(to, MLS__NAME, node->name[0] ? node->name : "node");
    if (!node->name[0]) {
        mls__say_int(to, MLS__NAME, t->node);
        mls__say(to, MLS__NAME, ".");
        mls__say(to, MLS__NAME, node->kind->name);
    }
    for (; *to; to++, size--) {
        if (!mls__name_letter(*to)) *to = '_';
    }
    mls__say(to, size, ".");
    mls__say(to, size, t->part);
}

/* What is different about weights. */
static void mls__tensor_weight(const mls_net *net, mls_net_tensor *t)
{
    const mls_node *node = &net->nodes[t->node];
    const mls_shape s = mls_conv_weight_shape(&node->conv);
    if (!mls__convolves(node)) return;
    t->dims[0] = s.n, t->dims[1] = s.h, t->dims[2] = s.w, t->dims[3] = s.c;
    t->rank = 4;
    if (node->kind == &mls__linear) t->rank = 2, t->dims[1] = s.c, t->dims[3] = 1;
    t->format = node->format[MLS__W], t->shape = s;
    t->seed = mls__seed_of(net, UINT64_MAX, t->node, MLS__W);
    if (mls__quantized(t->format) && net->desc.inference && !mls__stale(net)) {
        t->codes = mls__operand_at(net, t->node, MLS__W, 0);
    }
}

/* Tensor number part of a node, or a count of 0. */
static mls_net_tensor mls__net_tensor(const mls_net *net, int32_t i, int part)
{
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    const mls_node *node = &net->nodes[i];
    const int norm = mls__is_norm(node);
    const size_t c = (size_t)node->shape.c,
                 counts[4] = {node->weights, node->seconds, norm ? c : node->states, norm ? c : 0};
    mls_net_tensor t;
    memset(&t, 0, sizeof t);
    t.node = i, t.count = counts[part], t.rank = 1;
    t.part = part < 2 || norm ? parts[part] : "state";
    if (node->kind == &mls__l1_norm && part == 3) t.part = "running_deviation";
    t.dims[0] = (int64_t)t.count, t.dims[1] = t.dims[2] = t.dims[3] = 1;
    if (part == 0) mls__tensor_weight(net, &t);
    if (!mls__has_numbers(net)) return t;
    t.values = part < 2 ? mls__node_weights(net, node, net->averaged)
                        : mls__node_states(net, node, net->averaged);
    if (part % 2) t.values += mls__up(part == 1 ? node->weights : c);
    return t;
}

MLS_DEF mls_status mls_net_each_tensor(mls_net *net, mls_net_visit visit, void *user)
{
    char name[MLS__NAME + 24];
    if (!net || !visit) return MLS_ERROR_ARGUMENT;
    if (!net->planned) return MLS_ERROR_STATE;
    for (int32_t part = 0; part < 4 * net->count; part++) {
        mls_net_tensor t = mls__net_tensor(net, part / 4, part % 4);
        mls_status status;
        if (!t.count) continue;
        mls__tensor_name(net, &t, name, sizeof name);
        t.name = name;
        status = visit(user, &t);
        if (status != MLS_OK) return status;
    }
    return MLS_OK;
}

/* ----------------------------------------------------------------------------------- >>step */

static int mls__finite(const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((mls__bits(x[i]) & 0x7fffffffu) >= 0x7f800000u) return 0;
    }
    return 1;
}

/* Refuses what trains. */
static mls_status mls__trains(mls_net *net)
{
    if (!net->desc.inference) return MLS_OK;
    return mls__fail(net, MLS_ERROR_STATE, -1,
                     "the network is for inference: it cannot be trained");
}

MLS_DEF mls_status mls_net_targets(mls_net *net, const float *targets)
{
    if (!net) return MLS_ERROR_ARGUMENT;
    net->next_targets = targets;
    return MLS_OK;
}

/* "WHAT n WHY" of an image of the call. */
static mls_status mls__fail_image(mls_net *net, mls_status status, const char *what, int32_t n,
                                  const char *why)
{
    mls__fail(net, status, -1, what);
    mls__say_int(net->text, sizeof net->text, n);
    mls__say(net->text, sizeof net->text, why);
    return status;
}

/* Checks what the images are to give, of which there may be none. */
static mls_status mls__call_wanted(mls_net *net, const int32_t *labels, int32_t count)
{
    const mls_node *loss = &net->nodes[net->count - 1];
    const int takes_targets = (loss->kind->flags & MLS_TARGETS) != 0;
    const size_t outputs = mls__image(loss->shape);
    if (takes_targets ? labels != 0 : net->targets != 0) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, net->count - 1,
                         takes_targets ? "it takes mls_net_targets, not labels"
                                       : "it takes labels, not mls_net_targets");
    }
    for (int32_t n = 0; net->targets && n < count; n++) {
        if (mls__finite(net->targets + (size_t)n * outputs, outputs)) continue;
        return mls__fail_image(net, MLS_ERROR_NONFINITE, "the targets of image ", n,
                               " are not finite");
    }
    for (int32_t n = 0; labels && n < count; n++) {
        if (labels[n] >= 0 && labels[n] < loss->shape.c) continue;
        mls__fail(net, MLS_ERROR_ARGUMENT, -1, "label ");
        mls__say_int(net->text, sizeof net->text, labels[n]);
        mls__say(net->text, sizeof net->text, " of image ");
        mls__say_int(net->text, sizeof net->text, n);
        mls__say(net->text, sizeof net->text, " is out of range");
        return net->status;
    }
    return MLS_OK;
}

/* Whether the call has labels or targets. */
static int mls__wanted(const mls_net *net)
{
    return net->labels || net->targets;
}

/* Starts a call: arguments, and a clean status. */
static mls_status mls__call(mls_net *net, const float *images, const int32_t *labels, int32_t count)
{
    mls_status status;
    if (!net) return MLS_ERROR_ARGUMENT;
    net->targets = net->next_targets, net->next_targets = 0;
    status = mls__bound(net);
    if (status != MLS_OK) return status;
    if (!images || count < 1 || count > net->desc.batch) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "no images, or more than the batch");
    }
    if (mls__call_wanted(net, labels, count) != MLS_OK) return net->status;
    if (mls__net_floats(net) != MLS_OK) return net->status;
    net->x = images, net->labels = labels, net->images = count;
    net->result.loss = 0, net->result.correct = 0, net->result.images = count;
    return MLS_OK;
}

/* Puts the step in front of a text that names a layer. */
static void mls__name_step(mls_net *net)
{
    char text[sizeof net->text];
    memcpy(text, net->text, sizeof text);
    net->text[0] = 0;
    mls__say(net->text, sizeof net->text, "step ");
    mls__say_int(net->text, sizeof net->text, net->step);
    mls__say(net->text, sizeof net->text, ", ");
    mls__say(net->text, sizeof net->text, text);
}

/* A layer that meets something that is not finite is not to blame where the call brought it. */
static void mls__blame_images(mls_net *net)
{
    for (int32_t n = 0; n < net->images; n++) {
        if (mls__finite(mls__value(net, 0, n), mls__image(net->nodes[0].shape))) continue;
        mls__fail_image(net, MLS_ERROR_NONFINITE, "image ", n, " of the input is not finite");
        return;
    }
}

/* Goes forward again, step by step, to say which layer is the first whose output is not finite. */
static void mls__blame_layer(mls_net *net, uint32_t facts)
{
    mls__pass w = mls__pass_start(net, facts, 0);
    w.most = 1;
    while (net->status == MLS_OK && mls__pass_phase(net, &w)) {
        const int32_t i = w.node[0];
        const size_t count = (size_t)net->images * mls__image(net->nodes[i].shape);
        mls__phase_now(net, &w);
        mls__phase_run(net, &w);
        if (w.count && w.steps[0]->writes & MLS_Y && !mls__finite(mls__value(net, i, 0), count)) {
            mls__fail(net, MLS_ERROR_NONFINITE, i, "its output is not finite");
        }
    }
    if (net->status == MLS_OK) {
        mls__fail(net, MLS_ERROR_NONFINITE, net->count - 1, "its output is not finite");
    }
}

static mls_status mls__forward(mls_net *net, int training, mls_result *result)
{
    const mls_node *scores = &net->nodes[net->nodes[net->count - 1].in[0]];
    const size_t logits = (size_t)net->images * mls__image(scores->shape);
    uint32_t facts = training ? MLS_IF_TRAINING : MLS_IF_EVALUATION;
    double loss;
    if (mls__wanted(net)) facts |= MLS_IF_LABELS;
    net->training = training;
    if (mls__stale(net)) mls__pack(net);
    mls__pass_run(net, facts, 0);
    loss = net->result.loss;
    if (net->status == MLS_OK &&
        (!(loss - loss == 0) || (!mls__wanted(net) && !mls__finite(mls_net_logits(net), logits)))) {
        mls__blame_layer(net, facts);
    }
    if (net->status != MLS_OK) {
        if (net->status == MLS_ERROR_NONFINITE) mls__blame_images(net);
        mls__name_step(net);
        return net->status;
    }
    net->result.loss = loss / net->images;
    if (result) *result = net->result;
    return MLS_OK;
}

static void mls__drop_gradient(mls_net *net)
{
    memset(mls__floats(net, 0) + net->parameters, 0, net->trained * sizeof(float));
    net->images_pending = 0;
}

MLS_DEF mls_status mls_net_gradient(mls_net *net, const float *images, const int32_t *labels,
                                    int32_t count, mls_result *result)
{
    mls_status status = mls__call(net, images, labels, count);
    if (status == MLS_OK) status = mls__trains(net);
    if (status != MLS_OK) return status;
    if (!mls__wanted(net)) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "training needs labels or targets");
    }
    status = mls__forward(net, 1, 0);
    if (status != MLS_OK) return status; /* nothing has been added to the gradient */
    mls__pass_run(net, MLS_IF_TRAINING | MLS_IF_LABELS, 1);
    for (int32_t i = 0; net->status == MLS_OK && i < net->count; i++) {
        const mls_node *node = &net->nodes[i];
        size_t numbers = mls__up(node->weights) + mls__up(node->seconds);
        if (node->trained && !mls__finite(mls__gradients_at(net, node), numbers)) {
            mls__fail(net, MLS_ERROR_NONFINITE, i, "its gradient is not finite");
        }
    }
    if (net->status != MLS_OK) {
        mls__drop_gradient(net);
        mls__name_step(net);
        return net->status;
    }
    for (int32_t i = 0; i < net->count; i++) {
        mls_work w;
        mls__work_of(&w, net, i);
        mls__work_numbers(&w);
        if (net->nodes[i].kind->settle && !w.frozen) net->nodes[i].kind->settle(&w);
    }
    net->step++;
    net->images_pending += count;
    if (result) *result = net->result;
    return MLS_OK;
}

/* Whether the weights of a node are what the codes that were read for them stand for, as ever. */
static int mls__codes_hold(const mls_net *net, int32_t i)
{
    const mls_tensor *t = mls__operand_at(net, i, MLS__W, 0);
    const float *w = mls__weights_at(net, &net->nodes[i]);
    const size_t image = mls__image(t->shape), c = (size_t)t->shape.c;
    const int bits = mls_format_bits(t->format);
    for (size_t e = 0; e < net->nodes[i].weights; e++) {
        const uint32_t g = mls__group(t, (int32_t)(e / image), (int32_t)(e % c));
        const float value = mls__decode(t, mls__code_get(t->code, bits, e), g);
        if (mls__bits(value) != mls__bits(w[e])) return 0;
    }
    return 1;
}

MLS_DEF mls_status mls_net_pack(mls_net *net)
{
    mls_status status = net ? mls__bound(net) : MLS_ERROR_ARGUMENT;
    if (status != MLS_OK || !net->desc.inference) return status;
    if (mls__net_floats(net) != MLS_OK) return net->status;
    for (int32_t i = 0; i < net->count; i++) {
        if (net->nodes[i].coded) net->nodes[i].coded = mls__codes_hold(net, i);
    }
    mls__pack(net);
    return net->status;
}

MLS_DEF mls_status mls_net_inspect(mls_net *net, const float *images, const int32_t *labels,
                                   int32_t count, mls_see *see, void *user)
{
    mls_status status = mls__call(net, images, labels, count);
    if (status == MLS_OK) status = mls__trains(net);
    if (status != MLS_OK) return status;
    if (!mls__wanted(net) || !see) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "mls_net_inspect without labels or see");
    }
    if (net->images_pending) {
        return mls__fail(net, MLS_ERROR_STATE, -1, "a gradient is being accumulated");
    }
    net->see = see, net->see_user = user;
    if (mls__forward(net, 1, 0) == MLS_OK) {
        mls__pass_run(net, MLS_IF_TRAINING | MLS_IF_LABELS, 1);
        mls__drop_gradient(net);
        if (net->status != MLS_OK) mls__name_step(net);
    }
    net->see = 0;
    return net->status;
}

MLS_DEF mls_status mls_net_use_average(mls_net *net, int use)
{
    mls_status status = net ? mls__bound(net) : MLS_ERROR_ARGUMENT;
    if (status != MLS_OK) return status;
    if (!net->desc.average) return mls__fail(net, MLS_ERROR_STATE, -1, "there is no average");
    net->averaged = use != 0;
    return MLS_OK;
}

MLS_DEF mls_status mls_net_evaluate(mls_net *net, const float *images, const int32_t *labels,
                                    int32_t count, mls_result *result)
{
    mls_status status = mls__call(net, images, labels, count);
    return status != MLS_OK ? status : mls__forward(net, 0, result);
}

MLS_DEF mls_status mls_net_predict(mls_net *net, const float *images, int32_t count,
                                   int32_t *classes, float *probabilities)
{
    mls_status status = mls_net_evaluate(net, images, 0, count, 0);
    int32_t last, outputs;
    if (status != MLS_OK) return status;
    last = net->nodes[net->count - 1].in[0];
    outputs = (int32_t)mls__image(net->nodes[last].shape);
    for (int32_t n = 0; n < count; n++) {
        float sum, *p = probabilities ? probabilities + (size_t)n * (size_t)outputs : 0;
        const int32_t best = mls__softmax(mls__value(net, last, n), outputs, p, &sum);
        if (classes) classes[n] = best;
    }
    return MLS_OK;
}

/* ------------------------------------------------------------------------------ >>optimizer */

/* Starts a call with an optimizer whose numbers must not spoil the weights. */
static mls_status mls__optimizer(mls_net *net, const mls_sgd *sgd)
{
    mls_status status = net ? mls__bound(net) : MLS_ERROR_ARGUMENT;
    if (status == MLS_OK) status = mls__trains(net);
    if (status != MLS_OK) return status;
    if (!sgd) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "no optimizer");
    if (!mls__finite(&sgd->rate, 1) || !mls__finite(&sgd->momentum, 1) ||
        !mls__finite(&sgd->decay, 1)) {
        return mls__fail(net, MLS_ERROR_ARGUMENT, -1,
                         "the optimizer's rate, momentum or decay is not finite");
    }
    if (net->desc.optimizer != MLS_ADAMW) return MLS_OK;
    if (sgd->nesterov) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "nesterov is not for AdamW");
    if (sgd->rate >= 0 && sgd->decay >= 0 && sgd->momentum >= 0 && sgd->momentum < 1) return MLS_OK;
    return mls__fail(net, MLS_ERROR_ARGUMENT, -1,
                     "AdamW's rate, momentum or decay is below 0, or its momentum not below 1");
}

/* The norm of the gradient, a sum over images. Squares of floats are exact in double; number i is added to
   chain i % 16, so that there is one answer. */
static double mls__gradient_norm(const mls_net *net)
{
    enum {
        MLS__CHAINS = 16 /* counts are multiples of it */
    };
    const float *g = mls__floats(net, 0) + net->parameters;
    double sum[MLS__CHAINS] = {0}, total = 0, unit = 1;
    for (size_t i = 0; i < net->trained; i += MLS__CHAINS) {
        for (size_t j = 0; j < MLS__CHAINS; j++) sum[j] += (double)g[i + j] * (double)g[i + j];
    }
    for (int j = 0; j < MLS__CHAINS; j++) total += sum[j];
    if (total > 0x1p100) total *= 0x1p-200, unit = 0x1p100; /* to the range of floats */
    if (total < 0x1p-100) total *= 0x1p200, unit = 0x1p-100;
    return (double)mls__sqrt((float)total) * unit;
}

/* 1 - beta^n, without a difference of what is nearly equal. */
static float mls__complement(float beta, int64_t n)
{
    float done = 0, part = 1 - beta;
    for (; n; n >>= 1) {
        if (n & 1) done = mls__fma(1 - done, part, done);
        part = mls__fma(1 - part, part, part);
    }
    return done;
}

static mls__update mls__update_start(const mls_net *net, const mls_sgd *sgd)
{
    const mls_net_desc *d = &net->desc;
    const float fresh = 9 / (float)(9 + net->updates);
    mls__update u;
    u.sgd = *sgd, u.share = 1.0f / (float)net->images_pending;
    if (d->clip > 0) {
        const double norm = mls__gradient_norm(net) * (double)u.share;
        if (norm > (double)d->clip) u.share = (float)((double)u.share * ((double)d->clip / norm));
    }
    u.beta2 = d->beta2, u.epsilon = d->epsilon;
    u.first = mls__complement(sgd->momentum, net->updates + 1);
    u.second = mls__sqrt(mls__complement(d->beta2, net->updates + 1));
    u.fresh = 1 - d->average_decay > fresh ? 1 - d->average_decay : fresh;
    return u;
}

/* Updates some trained numbers of a node, from place at on. */
static void mls__update_some(const mls_net *net, const mls_node *node, size_t at, size_t count,
                             int decays, const mls__update *update)
{
    const mls__layers *k = &mls__layer_kernels[mls__unit()];
    float *w = mls__floats(net, 0) + at, *g = w + net->parameters, *v = g + net->trained;
    mls__update own = *update;
    own.sgd.rate *= node->rate;
    if (!decays) own.sgd.decay = 0;
    if (net->desc.optimizer == MLS_ADAMW) {
        k->adamw(w, g, v, v + net->trained, count, &own);
    } else {
        k->sgd(w, g, v, count, own.share, &own.sgd);
    }
    if (net->desc.average) k->average(w + mls__average_at(net), w, count, own.fresh);
}

/* Updates numbers first .. last - 1 of the trained ones. */
static void mls__update_range(const mls_net *net, size_t first, size_t last,
                              const mls__update *update)
{
    for (int32_t i = 0; i < net->count; i++) {
        const mls_node *node = &net->nodes[i];
        size_t from = node->weights_at;
        for (int second = 0; second < 2 && node->trained; second++) {
            const size_t end = from + mls__up(second ? node->seconds : node->weights);
            const size_t at = from > first ? from : first, to = end < last ? end : last;
            const int decays = !net->desc.no_decay_norms || (mls__convolves(node) && !second);
            if (at < to) mls__update_some(net, node, at, to - at, decays, update);
            from = end;
        }
    }
}

MLS_DEF mls_status mls_net_update(mls_net *net, const mls_sgd *sgd)
{
    enum {
        MLS__BLOCK = 1 << 13
    };
    int64_t blocks;
    mls__update update;
    mls_status status = mls__optimizer(net, sgd);
    if (status != MLS_OK) return status;
    if (!net->images_pending) {
        return mls__fail(net, MLS_ERROR_STATE, -1, "there is no gradient to apply");
    }
    if (mls__net_floats(net) != MLS_OK) return net->status;
    update = mls__update_start(net, sgd);
    blocks = (int64_t)((net->trained + MLS__BLOCK - 1) / MLS__BLOCK);
    MLS__OMP(omp parallel for schedule(static) num_threads(net->threads))
    for (int64_t b = 0; b < blocks; b++) {
        const size_t first = (size_t)b * MLS__BLOCK, last = first + MLS__BLOCK;
        mls__update_range(net, first, last, &update);
    }
    mls__average_states(net, update.fresh);
    net->images_pending = 0;
    net->updates++;
    return MLS_OK;
}

MLS_DEF mls_status mls_net_step(mls_net *net, const float *images, const int32_t *labels,
                                int32_t count, const mls_sgd *sgd, mls_result *result)
{
    mls_status status = mls__optimizer(net, sgd);
    if (status != MLS_OK) return status;
    status = mls_net_gradient(net, images, labels, count, result);
    return status != MLS_OK ? status : mls_net_update(net, sgd);
}

MLS_DEF float mls_schedule_rate(const mls_schedule *s, int64_t update)
{
    float rate, factor;
    if (!s) return 0;
    if (update < 0) update = 0;
    rate = s->rate, factor = s->factor > 0 ? s->factor : 10;
    if (update < s->warmup) return rate * ((float)(update + 1) / (float)s->warmup);
    if (s->kind == MLS_SCHEDULE_STEP) {
        for (int i = 0; i < 4; i++) {
            if (s->milestones[i] > 0 && update >= s->milestones[i]) rate /= factor;
        }
    } else if (s->kind == MLS_SCHEDULE_COSINE && s->updates > s->warmup) {
        int64_t most = s->updates - s->warmup, done = update - s->warmup;
        rate *= mls__half_cosine(done < most ? (float)done / (float)most : 1.0f);
    }
    return rate;
}

/* --------------------------------------------------------------------------------- >>digest */

MLS__INLINE uint64_t mls__hash(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9fb21c651e98df25u;
    return h ^ h >> 32;
}

static uint64_t mls__hash_bytes(uint64_t h, const uint8_t *p, size_t count)
{
    for (size_t i = 0; i < count; i++) h = mls__hash(h, p[i]);
    return h;
}

/* The numbers that a digest sees and a checkpoint has, part by part, those of each node a piece. Null: all
   are 0, the node is not trained; a count of 0: the network has no such part. */
enum {
    MLS__PART_WEIGHTS,
    MLS__PART_MOMENTUM,
    MLS__PART_STATES,
    MLS__PART_SECOND, /* moments of AdamW */
    MLS__PART_AVERAGE,
    MLS__PART_AVERAGE_STATES,
    MLS__PARTS
};
static float *mls__piece(const mls_net *net, int32_t k, size_t *count)
{
    const int32_t part = k / net->count;
    const mls_node *node = &net->nodes[k % net->count];
    const int average = part >= MLS__PART_AVERAGE;
    float *g = mls__gradients_at(net, node);
    *count = 0;
    if (average && !net->desc.average) return 0;
    if (part == MLS__PART_SECOND && net->desc.optimizer != MLS_ADAMW) return 0;
    *count = mls__up(node->states);
    if (part == MLS__PART_STATES || part == MLS__PART_AVERAGE_STATES) {
        return mls__node_states(net, node, average);
    }
    *count = mls__up(node->weights) + mls__up(node->seconds);
    if (part == MLS__PART_WEIGHTS || average) return mls__node_weights(net, node, average);
    return g ? g + (part == MLS__PART_MOMENTUM ? 1 : 2) * net->trained : 0;
}

MLS_DEF uint64_t mls_net_digest(const mls_net *net)
{
    uint64_t h = 0;
    if (!net || !mls__has_numbers(net)) return 0;
    h = mls__hash(h, (uint64_t)net->step);
    h = mls__hash(h, (uint64_t)net->updates);
    for (int32_t k = 0; k < MLS__PARTS * net->count; k++) {
        size_t count;
        const float *x = mls__piece(net, k, &count);
        for (size_t i = 0; i < count; i++) h = mls__hash(h, x ? mls__bits(x[i]) : 0);
    }
    return mls__mix(h);
}

/* ----------------------------------------------------------------------------- >>checkpoint
   All little-endian: magic of 8 bytes, head, nodes, note, weights, momentum, states as fp32, checksum of
   8. A node: 14 facts of 4 bytes, see below, three formats of 8, and what may be missing: more facts, the
   formats of the second products, a name and the name of a custom layer's kind, of 48 bytes that zeros
   fill, and a last fact.
   Format 1 has the first part of the head and no nodes. Format 3, a model, has no momentum; its head says
   what the numbers are, and their bytes. Format 4 is format 2 with more parts after the states: AdamW's
   second moments, the average of weights and that of states, where "content" (the optimizer, and 256 for an
   average) says so. Packed ones are, node by node, weights and then seconds; quantized
   weights are scale, group codes and codes, two a byte, in one byte or in two, as few as hold them. */

/* The head, field by field, and their bytes; format 1 has the first eight. note: bytes of the note, node:
   of a node. */
typedef struct mls__head {
    uint64_t version, note, network, parameters, states, seed, step, updates;
    uint64_t nodes, node, batch, content, bn_momentum, bn_epsilon, numbers;
} mls__head;
enum {
    MLS__HEAD_FIELDS = sizeof(mls__head) / sizeof(uint64_t),
    MLS__HEAD_FIELDS_1 = 8
};
static const uint8_t mls__head_bytes[MLS__HEAD_FIELDS] = {4, 4, 8, 8, 8, 8, 8, 8,
                                                          4, 4, 4, 4, 4, 4, 8};

enum {
    MLS__CHECKPOINT_VERSION = 2,
    MLS__MODEL_VERSION = 3,
    MLS__KEPT_VERSION = 4,
    MLS__KEPT_AVERAGE = 256,
    MLS__CHECKPOINT_HEAD_1 = 64, /* with the magic */
    MLS__CHECKPOINT_HEAD = 96,
    MLS__FACTS_FIRST = 14,  /* before the formats */
    MLS__FACTS_SECOND = 21, /* before those of the second products */
    MLS__FACTS = 22,
    MLS__NODE_LEAST = 4 * MLS__FACTS_FIRST + 3 * 8,
    MLS__NODE_FACTS = 4 * MLS__FACTS_SECOND + 3 * 8,
    MLS__NODE_FORMATS = MLS__NODE_FACTS + 3 * 8,
    MLS__NODE_NAMED = MLS__NODE_FORMATS + MLS__NAME,
    MLS__NODE_CUSTOM = MLS__NODE_NAMED + MLS__NAME,
    MLS__NODE_AMOUNT = MLS__NODE_CUSTOM + 4
};

static uint8_t *mls__put(uint8_t *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) *p++ = (uint8_t)(value >> (8 * i));
    return p;
}

static uint64_t mls__get(const uint8_t *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

/* The layers here. A checkpoint knows the first ones by their place, which is part of the format, and the
   others, those of mls_net_custom too, by a negative number made of their name. */
static const mls_layer_kind *const mls__kinds[] = {&mls__input,
                                                   &mls__convolution,
                                                   &mls__batch_norm,
                                                   &mls__relu,
                                                   &mls__add,
                                                   &mls__max_pool,
                                                   &mls__average_pool,
                                                   &mls__global_pool,
                                                   &mls__subsample,
                                                   &mls__linear,
                                                   &mls__loss,
                                                   &mls__concat,
                                                   &mls__l1_norm,
                                                   &mls__dropout,
                                                   &mls__activations[MLS__LEAKY_RELU],
                                                   &mls__activations[MLS__SIGMOID],
                                                   &mls__activations[MLS__GELU],
                                                   &mls__mse};
enum {
    MLS__KINDS = sizeof mls__kinds / sizeof *mls__kinds,
    MLS__KINDS_PLACED = 11
};

static int32_t mls__kind_number(const mls_layer_kind *kind)
{
    for (int32_t k = 0; k < MLS__KINDS_PLACED; k++) {
        if (kind == mls__kinds[k]) return k;
    }
    return -1 -
           (int32_t)(mls__hash_bytes(0, (const uint8_t *)kind->name, strlen(kind->name)) >> 33);
}

/* Null: it is none of these. */
static const mls_layer_kind *mls__kind_of(int32_t number)
{
    for (int32_t k = 0; k < MLS__KINDS; k++) {
        if (mls__kind_number(mls__kinds[k]) == number) return mls__kinds[k];
    }
    return 0;
}

static int32_t mls__or_else(int32_t value, int32_t other)
{
    return value ? value : other;
}

/* What makes a network the same: neither batch nor formats. missing: what a fact is in a checkpoint that
   does not have it. */
typedef struct mls__fact {
    const char *name;
    int32_t value, missing;
} mls__fact;

static void mls__node_facts(const mls_node *node, mls__fact *to)
{
    const mls_conv *c = &node->conv;
    const int32_t stride = mls__or_else(c->stride_h, c->stride), top = c->pad + c->pad_top;
    const mls__fact facts[MLS__FACTS] = {
        {"kind", mls__kind_number(node->kind), 0},
        {"input", node->in[0], 0},
        {"second input", node->in[1], 0},
        {"height", node->shape.h, 0},
        {"width", node->shape.w, 0},
        {"channels", node->shape.c, 0},
        {"kernel height", c->kh, 0},
        {"kernel width", c->kw, 0},
        {"stride", stride, 0},
        {"padding", top, 0},
        {"window", node->size, 0},
        {"stride", node->stride, 0},
        {"padding", node->pad, 0},
        {"bias", node->bias, 0},
        {"groups", mls__or_else(c->groups, 1), 1},
        {"dilation", mls__or_else(c->dilation_h, 1), 1},
        {"dilation in w", mls__or_else(c->dilation_w, 1), 1},
        {"stride in w", mls__or_else(c->stride_w, c->stride), stride},
        {"padding left", c->pad + c->pad_left, top},
        {"padding at the bottom", c->pad + c->pad_bottom, top},
        {"padding right", c->pad + c->pad_right, top},
        {"bits of its amount", (int32_t)mls__bits(node->amount), 0},
    };
    memcpy(to, facts, sizeof facts);
}

/* Fact j of a node in a checkpoint, of which so many bytes are there. */
static int32_t mls__fact_there(const uint8_t *there, size_t bytes, int j, int32_t missing)
{
    const size_t at = (size_t)(j < MLS__FACTS_FIRST    ? 4 * j
                               : j < MLS__FACTS_SECOND ? 4 * j + 3 * 8
                                                       : (int)MLS__NODE_CUSTOM);
    return at + 4 <= bytes ? (int32_t)mls__get(there + at, 4) : missing;
}

/* Bytes of a node in a checkpoint: what may be missing is there only where one of them says something. */
static size_t mls__node_bytes(const mls_net *net)
{
    size_t bytes = MLS__NODE_LEAST;
    for (int32_t i = 0; i < net->count; i++) {
        const mls_node *node = &net->nodes[i];
        mls__fact facts[MLS__FACTS];
        size_t more = MLS__NODE_LEAST;
        mls__node_facts(node, facts);
        for (int j = MLS__FACTS_FIRST; j < MLS__FACTS_SECOND; j++) {
            if (facts[j].value != facts[j].missing) more = MLS__NODE_FACTS;
        }
        for (int o = MLS__ROLES; o < MLS__OPERANDS; o++) {
            if (mls__operand_same(node, o) == o) more = MLS__NODE_FORMATS;
        }
        if (node->name[0]) more = MLS__NODE_NAMED;
        if (node->custom) more = MLS__NODE_CUSTOM;
        if (facts[MLS__FACTS_SECOND].value) more = MLS__NODE_AMOUNT;
        if (more > bytes) bytes = more;
    }
    return bytes;
}

static uint8_t *mls__put_formats(uint8_t *p, const mls_format *f)
{
    for (int role = 0; role < MLS__ROLES; role++, f++, p += 8) {
        const uint8_t of[8] = {f->ex, f->mx, f->eg, f->mg, f->grouping, f->rounding, f->range};
        memcpy(p, of, sizeof of);
    }
    return p;
}

/* 0: one of them is none. */
static int mls__get_formats(const uint8_t *p, mls_format *f)
{
    for (int role = 0; role < MLS__ROLES; role++, f++, p += 8) {
        f->ex = p[0], f->mx = p[1], f->eg = p[2], f->mg = p[3];
        f->grouping = p[4], f->rounding = p[5], f->range = p[6];
        if (!mls__zero_format(*f) && mls_format_check(*f) != MLS_OK) return 0;
    }
    return 1;
}

static uint64_t mls__net_identity(const mls_net *net)
{
    uint64_t h = 0;
    for (int32_t i = 0; i < net->count; i++) {
        mls__fact facts[MLS__FACTS];
        mls__node_facts(&net->nodes[i], facts);
        for (int j = 0; j < MLS__FACTS; j++) {
            if (j >= MLS__FACTS_FIRST) { /* as if missing, where it says nothing new */
                if (facts[j].value == facts[j].missing) continue;
                h = mls__hash(h, (uint64_t)j);
            }
            h = mls__hash(h, (uint64_t)(int64_t)facts[j].value);
        }
    }
    return mls__mix(h);
}

/* The codes of a node's weights, as packed ones have them; all 0: they stay fp32. */
typedef struct mls__coded {
    size_t elements, groups, bytes, group_bytes;
    int bits, group_bits;
} mls__coded;

static size_t mls__bytes_of(int bits, size_t count)
{
    return bits <= 4 ? (count + 1) / 2 : bits <= 8 ? count : 2 * count;
}

static mls__coded mls__coded_of(const mls_node *node)
{
    const mls_format f = node->format[MLS__W];
    mls__coded c;
    memset(&c, 0, sizeof c);
    if (!mls__convolves(node) || !mls__quantized(f)) return c;
    c.elements = node->weights, c.groups = mls_group_count(f, mls_conv_weight_shape(&node->conv));
    c.bits = mls_format_bits(f), c.group_bits = f.eg + f.mg;
    c.bytes = mls__bytes_of(c.bits, c.elements);
    c.group_bytes = mls__bytes_of(c.group_bits, c.groups);
    return c;
}

/* What a network keeps beside weights, momentum and states, as a head says it. */
static uint32_t mls__kept(const mls_net *net)
{
    return (uint32_t)net->desc.optimizer | (net->desc.average ? MLS__KEPT_AVERAGE : 0);
}

/* Bytes of the numbers; kept: of training. */
static size_t mls__content_bytes(const mls_net *net, mls_content content, uint32_t kept)
{
    const size_t parameters = 4 * net->parameters;
    size_t bytes = 4 * net->states;
    if (content == MLS_CONTENT_FP32) return bytes + parameters;
    if (content == MLS_CONTENT_TRAINING) {
        bytes += 2 * parameters;
        if (kept & MLS_ADAMW) bytes += parameters;
        return kept & MLS__KEPT_AVERAGE ? bytes + parameters + 4 * net->states : bytes;
    }
    for (int32_t i = 0; i < net->count; i++) {
        const mls_node *node = &net->nodes[i];
        const mls__coded c = mls__coded_of(node);
        bytes += c.elements ? 4 + c.group_bytes + c.bytes : 4 * node->weights;
        bytes += 4 * node->seconds;
    }
    return bytes;
}

static size_t mls__content_size(const mls_net *net, mls_content content, size_t note_size)
{
    if (!net || net->planned != 2 || note_size > UINT32_MAX) return 0;
    return MLS__CHECKPOINT_HEAD + (size_t)net->count * mls__node_bytes(net) + note_size +
           mls__content_bytes(net, content, mls__kept(net)) + 8;
}

MLS_DEF size_t mls_net_checkpoint_size(const mls_net *net, size_t note_size)
{
    return mls__content_size(net, MLS_CONTENT_TRAINING, note_size);
}

MLS_DEF size_t mls_net_model_size(const mls_net *net, int packed, size_t note_size)
{
    return mls__content_size(net, packed ? MLS_CONTENT_PACKED : MLS_CONTENT_FP32, note_size);
}

static void mls__net_head(const mls_net *net, mls_content content, size_t note_size,
                          mls__head *head)
{
    memset(head, 0, sizeof *head);
    head->version = content          ? MLS__MODEL_VERSION
                    : mls__kept(net) ? MLS__KEPT_VERSION
                                     : MLS__CHECKPOINT_VERSION;
    head->content = content ? (uint64_t)content : mls__kept(net);
    head->numbers = head->content ? mls__content_bytes(net, content, mls__kept(net)) : 0;
    head->note = note_size;
    head->network = mls__net_identity(net);
    head->parameters = net->parameters;
    head->states = net->states;
    head->seed = net->desc.seed;
    head->step = (uint64_t)net->step;
    head->updates = (uint64_t)net->updates;
    head->nodes = (uint64_t)net->count;
    head->node = mls__node_bytes(net);
    head->batch = (uint64_t)net->desc.batch;
    head->bn_momentum = mls__bits(net->desc.bn_momentum);
    head->bn_epsilon = mls__bits(net->desc.bn_epsilon);
}

static uint8_t *mls__put_name(uint8_t *p, const char *name)
{
    memset(p, 0, MLS__NAME);
    for (int i = 0; i < MLS__NAME - 1 && name[i]; i++) p[i] = (uint8_t)name[i];
    return p + MLS__NAME;
}

static uint8_t *mls__put_node(uint8_t *p, const mls_node *node, size_t bytes)
{
    mls__fact facts[MLS__FACTS];
    mls__node_facts(node, facts);
    for (int j = 0; j < MLS__FACTS_FIRST; j++) p = mls__put(p, (uint32_t)facts[j].value, 4);
    p = mls__put_formats(p, node->format);
    for (int j = MLS__FACTS_FIRST; j < MLS__FACTS_SECOND && bytes > MLS__NODE_LEAST; j++) {
        p = mls__put(p, (uint32_t)facts[j].value, 4);
    }
    if (bytes >= MLS__NODE_FORMATS) p = mls__put_formats(p, node->format + MLS__ROLES);
    if (bytes >= MLS__NODE_NAMED) p = mls__put_name(p, node->name);
    if (bytes >= MLS__NODE_CUSTOM) p = mls__put_name(p, node->custom ? node->kind->name : "");
    return bytes >= MLS__NODE_AMOUNT ? mls__put(p, mls__bits(node->amount), 4) : p;
}

/* Null: zeros. */
static uint8_t *mls__put_floats(uint8_t *p, const float *from, size_t count)
{
    for (size_t i = 0; i < count; i++) p = mls__put(p, from ? mls__bits(from[i]) : 0, 4);
    return p;
}

/* A part, of all nodes in their order. */
static uint8_t *mls__put_part(uint8_t *p, const mls_net *net, int32_t part)
{
    for (int32_t k = part * net->count; k < (part + 1) * net->count; k++) {
        size_t count;
        const float *from = mls__piece(net, k, &count);
        p = mls__put_floats(p, from, count);
    }
    return p;
}

/* The codes of a node's weights. A network that trains quantizes them now, as evaluation does. */
static uint8_t *mls__put_coded(uint8_t *p, mls_net *net, int32_t i, const mls__coded *c)
{
    const mls_tensor *t = mls__operand_at(net, i, MLS__W, 0);
    if (!net->desc.inference) {
        mls_work w;
        mls__work_of(&w, net, i);
        mls__work_numbers(&w);
        w.uses = MLS__CODES_W;
        mls__conv_weights(&w);
        if (net->status != MLS_OK) return p;
    }
    p = mls__put(p, mls__bits(t->scale), 4);
    for (size_t g = 0; g < c->groups; g++) mls__code_put(p, c->group_bits, g, t->group[g]);
    p += c->group_bytes;
    memcpy(p, t->code, c->bytes);
    return p + c->bytes;
}

static uint8_t *mls__put_packed(uint8_t *p, mls_net *net)
{
    net->training = net->images = 0; /* codes overwrite what passed through last */
    if (mls__stale(net)) mls__pack(net);
    for (int32_t i = 0; i < net->count && net->status == MLS_OK; i++) {
        const mls_node *node = &net->nodes[i];
        const mls__coded c = mls__coded_of(node);
        const float *w = mls__weights_at(net, node);
        p = c.elements ? mls__put_coded(p, net, i, &c) : mls__put_floats(p, w, node->weights);
        p = mls__put_floats(p, w + mls__up(node->weights), node->seconds);
    }
    return p;
}

/* Weights and states, or their average if that is in use. */
static uint8_t *mls__put_model(uint8_t *p, mls_net *net, mls_content content)
{
    const int32_t weights = net->averaged ? MLS__PART_AVERAGE : MLS__PART_WEIGHTS;
    const int32_t states = net->averaged ? MLS__PART_AVERAGE_STATES : MLS__PART_STATES;
    if (content == MLS_CONTENT_PACKED) p = mls__put_packed(p, net);
    if (content == MLS_CONTENT_FP32) p = mls__put_part(p, net, weights);
    return mls__put_part(p, net, states);
}

/* Why a network cannot be saved so; null: it can. */
static const char *mls__cannot_save(const mls_net *net, mls_content content)
{
    if (net->desc.weights_of) return "the network takes its weights from another one";
    if (net->images_pending) return "a gradient is pending: mls_net_update first";
    if (net->desc.inference && content == MLS_CONTENT_TRAINING) {
        return "the network is for inference: it has no optimizer state to save";
    }
    for (int32_t i = 0; i < net->count && content == MLS_CONTENT_FP32; i++) {
        if (net->nodes[i].coded) return "the network has read packed weights: it has no others";
    }
    return 0;
}

static mls_status mls__content_write(mls_net *net, mls_content content, const void *note,
                                     size_t note_size, void *to, size_t size)
{
    uint8_t *p = (uint8_t *)to;
    mls__head head;
    uint64_t fields[MLS__HEAD_FIELDS];
    const char *cannot;
    size_t need;
    mls_status status = net ? mls__bound(net) : MLS_ERROR_ARGUMENT;
    if (status != MLS_OK) return status;
    need = mls__content_size(net, content, note_size);
    if (!need) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, "the note has over 4294967295 bytes");
    if (!p || (note_size && !note)) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, 0);
    if (size < need) return mls__fail(net, MLS_ERROR_MEMORY, -1, 0);
    cannot = mls__cannot_save(net, content);
    if (cannot) return mls__fail(net, MLS_ERROR_STATE, -1, cannot);
    mls__net_head(net, content, note_size, &head);
    memcpy(p, "MLSCKPT\n", 8);
    p += 8;
    memcpy(fields, &head, sizeof head);
    for (int i = 0; i < MLS__HEAD_FIELDS; i++) p = mls__put(p, fields[i], mls__head_bytes[i]);
    for (int32_t i = 0; i < net->count; i++) {
        p = mls__put_node(p, &net->nodes[i], (size_t)head.node);
    }
    if (note_size) memcpy(p, note, note_size);
    p += note_size;
    if (content == MLS_CONTENT_TRAINING) {
        for (int32_t part = 0; part < MLS__PARTS; part++) p = mls__put_part(p, net, part);
    } else {
        p = mls__put_model(p, net, content);
        if (net->status != MLS_OK) return net->status;
    }
    mls__put(p, mls__mix(mls__hash_bytes(0, (const uint8_t *)to, need - 8)), 8);
    return MLS_OK;
}

MLS_DEF mls_status mls_net_checkpoint_write(mls_net *net, const void *note, size_t note_size,
                                            void *to, size_t size)
{
    return mls__content_write(net, MLS_CONTENT_TRAINING, note, note_size, to, size);
}

MLS_DEF mls_status mls_net_model_write(mls_net *net, int packed, const void *note, size_t note_size,
                                       void *to, size_t size)
{
    return mls__content_write(net, packed ? MLS_CONTENT_PACKED : MLS_CONTENT_FP32, note, note_size,
                              to, size);
}

/* What the numbers of a checkpoint are, and what a network that trains kept there. */
static mls_content mls__content_of(const mls__head *head)
{
    return head->version == MLS__MODEL_VERSION ? (mls_content)head->content : MLS_CONTENT_TRAINING;
}
static uint32_t mls__kept_of(const mls__head *head)
{
    return head->version == MLS__KEPT_VERSION ? (uint32_t)head->content : 0;
}

/* Of formats 3 and 4. */
static int mls__content_known(const mls__head *head)
{
    const uint64_t kept = (uint64_t)MLS_ADAMW | MLS__KEPT_AVERAGE;
    if (head->version == MLS__KEPT_VERSION) return head->content && !(head->content & ~kept);
    return head->content && head->content <= MLS_CONTENT_PACKED;
}

/* Reads the head of a checkpoint. Returns what is wrong with it, or with the checkpoint; null: nothing. */
static const char *mls__get_head(const uint8_t *p, size_t size, mls__head *head)
{
    uint64_t need = MLS__CHECKPOINT_HEAD_1, nodes, version, field[MLS__HEAD_FIELDS] = {0};
    const uint8_t *at;
    int fields = MLS__HEAD_FIELDS_1;
    if (size < 8 || memcmp(p, "MLSCKPT\n", 8) != 0) return "not a checkpoint";
    if (size < need) return "truncated";
    at = p + 8, version = mls__get(at, 4);
    if (version < 1 || version > MLS__KEPT_VERSION) {
        return "a checkpoint of another version of the library";
    }
    if (version > 1) need = MLS__CHECKPOINT_HEAD, fields = MLS__HEAD_FIELDS;
    if (size < need) return "truncated";
    for (int i = 0; i < fields; at += mls__head_bytes[i++]) {
        field[i] = mls__get(at, mls__head_bytes[i]);
    }
    memcpy(head, field, sizeof field);
    nodes = head->nodes * head->node;
    if (version < MLS__MODEL_VERSION) {
        if (head->parameters > size / 8 || head->states > size / 4) return "truncated";
        head->content = 0, head->numbers = 4 * (2 * head->parameters + head->states);
    }
    if (nodes > size || head->numbers > size) return "truncated";
    need += nodes + head->note + 8 + head->numbers;
    if (size < need) return "truncated";
    if (size > need) return "longer than a checkpoint: something follows it";
    if (mls__get(p + size - 8, 8) != mls__mix(mls__hash_bytes(0, p, size - 8))) {
        return "damaged: its checksum does not match";
    }
    if (head->step >> 62 || head->updates >> 62 || head->nodes > INT32_MAX ||
        (version >= MLS__MODEL_VERSION && !mls__content_known(head)) ||
        (version > 1 &&
         (!head->nodes || head->node < MLS__NODE_LEAST || head->batch - 1 >= INT32_MAX))) {
        return "damaged";
    }
    return 0;
}

/* The note, behind the nodes. */
static const uint8_t *mls__note_at(const uint8_t *p, const mls__head *head)
{
    p += head->version > 1 ? MLS__CHECKPOINT_HEAD : MLS__CHECKPOINT_HEAD_1;
    return p + head->nodes * head->node;
}

MLS_DEF mls_status mls_checkpoint_look(const void *from, size_t size, mls_checkpoint *about,
                                       char *text, size_t text_size)
{
    const char *wrong;
    mls__head head;
    if (text && text_size) text[0] = 0;
    if (!from || !about) return MLS_ERROR_ARGUMENT;
    wrong = mls__get_head((const uint8_t *)from, size, &head);
    if (wrong) {
        mls__say(text, text_size, wrong);
        return MLS_ERROR_DATA;
    }
    about->version = (int32_t)head.version;
    about->nodes = (int32_t)head.nodes;
    about->batch = (int32_t)head.batch;
    about->seed = head.seed;
    about->step = (int64_t)head.step;
    about->updates = (int64_t)head.updates;
    about->note = mls__note_at((const uint8_t *)from, &head);
    about->note_size = (size_t)head.note;
    about->content = mls__content_of(&head);
    about->optimizer = (mls_optimizer)(mls__kept_of(&head) & MLS_ADAMW);
    about->average = mls__kept_of(&head) & MLS__KEPT_AVERAGE ? 1 : 0;
    return MLS_OK;
}

/* The formats of a node, the second products' as the first where they are not there; 0: one of them is
   none. */
static int mls__formats_there(const uint8_t *there, size_t bytes, mls_formats *formats)
{
    mls_format of[MLS__OPERANDS];
    const size_t first = 4 * MLS__FACTS_FIRST,
                 second = bytes < MLS__NODE_FORMATS ? first : (size_t)MLS__NODE_FACTS;
    if (!mls__get_formats(there + first, of) ||
        !mls__get_formats(there + second, of + MLS__ROLES)) {
        return 0;
    }
    *formats = mls__formats_gather(of);
    return 1;
}

/* Node i, of head->node bytes. */
static const uint8_t *mls__node_at(const uint8_t *p, const mls__head *head, int32_t i)
{
    return p + MLS__CHECKPOINT_HEAD + (size_t)i * (size_t)head->node;
}

MLS_DEF mls_status mls_checkpoint_formats(const void *from, size_t size, int32_t index,
                                          mls_formats *formats)
{
    mls__head head;
    const uint8_t *p = (const uint8_t *)from;
    if (!from || !formats) return MLS_ERROR_ARGUMENT;
    if (mls__get_head(p, size, &head)) return MLS_ERROR_DATA;
    if (index < 0 || (uint64_t)index >= head.nodes) return MLS_ERROR_ARGUMENT;
    p = mls__node_at(p, &head, index);
    return mls__formats_there(p, (size_t)head.node, formats) ? MLS_OK : MLS_ERROR_DATA;
}

/* Says the kind of a node. A custom one's name is that in the file, if it is one. */
static void mls__say_kind(mls_net *net, const uint8_t *there, size_t bytes)
{
    const mls_layer_kind *kind = mls__kind_of(mls__fact_there(there, bytes, 0, 0));
    char name[MLS__NAME] = "";
    if (bytes >= MLS__NODE_CUSTOM) memcpy(name, there + MLS__NODE_NAMED, MLS__NAME - 1);
    for (int i = 0; name[i]; i++) {
        if (name[i] != ' ' && !mls__name_letter(name[i])) name[i] = '?'; /* it may be anything */
    }
    mls__say(net->text, sizeof net->text,
             name[0] ? name
             : kind  ? kind->name
                     : "an unknown kind of layer");
}

/* "WORD A there, B here" */
static mls_status mls__say_both(mls_net *net, const char *word, int64_t there, int64_t here)
{
    mls__say(net->text, sizeof net->text, word);
    mls__say(net->text, sizeof net->text, " ");
    mls__say_int(net->text, sizeof net->text, there);
    mls__say(net->text, sizeof net->text, " there, ");
    mls__say_int(net->text, sizeof net->text, here);
    mls__say(net->text, sizeof net->text, " here");
    return net->status;
}

/* Refuses the checkpoint of another network, as what, and says where they differ first. */
static mls_status mls__other_network(mls_net *net, const uint8_t *p, const mls__head *head,
                                     const char *what)
{
    const int32_t nodes = (int32_t)head->nodes;
    const size_t bytes = (size_t)head->node;
    mls__fail(net, MLS_ERROR_DATA, -1, what);
    if (head->version < 2) return net->status;
    for (int32_t i = 0; i < net->count && i < nodes; i++) {
        const uint8_t *there = mls__node_at(p, head, i);
        const char *name = net->nodes[i].kind->name;
        mls__fact facts[MLS__FACTS];
        int32_t j = 0, value = 0;
        mls__node_facts(&net->nodes[i], facts);
        for (; j < MLS__FACTS; j++) {
            value = mls__fact_there(there, bytes, j, facts[j].missing);
            if (value != facts[j].value) break;
        }
        if (j == MLS__FACTS) continue;
        mls__say(net->text, sizeof net->text, ": node ");
        mls__say_int(net->text, sizeof net->text, i);
        mls__say(net->text, sizeof net->text, j ? " (" : ": ");
        if (j == 0) {
            mls__say_kind(net, there, bytes);
            mls__say(net->text, sizeof net->text, " there, ");
        }
        mls__say(net->text, sizeof net->text, name);
        mls__say(net->text, sizeof net->text, j ? "): " : " here");
        return j ? mls__say_both(net, facts[j].name, value, facts[j].value) : net->status;
    }
    return net->count == nodes ? net->status : mls__say_both(net, ": nodes", nodes, net->count);
}

static const uint8_t *mls__get_floats(const uint8_t *p, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++, p += 4) to[i] = mls__float((uint32_t)mls__get(p, 4));
    return p;
}

/* Frozen nodes have what they have in the parts before instead of an average. */
static const uint8_t *mls__get_part(const uint8_t *p, const mls_net *net, int32_t part)
{
    for (int32_t k = part * net->count; k < (part + 1) * net->count; k++) {
        const int none = part >= MLS__PART_AVERAGE && net->nodes[k % net->count].rate == 0;
        size_t count;
        float *to = mls__piece(net, k, &count);
        if (to && !none) mls__get_floats(p, to, count);
        p += 4 * count;
    }
    return p;
}

/* Whether the codes of a node's weights can be such: a scale, groups up to 1, no bit too many. */
static int mls__coded_good(const uint8_t *p, mls_format f, const mls__coded *c)
{
    int good = mls__get(p, 4) < 0x7f800000u;
    p += 4;
    for (size_t g = 0; g < c->groups; g++) {
        const uint32_t code = mls__code_get(p, c->group_bits, g), k = code >> f.mg;
        good &= k <= (uint32_t)mls__k_max(f) && (k > 0 || code == 0);
    }
    p += c->group_bytes;
    for (size_t e = 0; e < c->elements; e++) good &= !(mls__code_get(p, c->bits, e) >> c->bits);
    return good;
}

/* The codes of a node's weights, and what they stand for. */
static void mls__get_coded(const uint8_t *p, mls_net *net, int32_t i, const mls__coded *c)
{
    mls_tensor *t = mls__operand_at(net, i, MLS__W, 0);
    *t = mls__operand_place(net, i, MLS__W, 0);
    t->scale = mls__float((uint32_t)mls__get(p, 4));
    p += 4;
    for (size_t g = 0; g < c->groups; g++) {
        t->group[g] = (uint16_t)mls__code_get(p, c->group_bits, g);
    }
    memcpy(t->code, p + c->group_bytes, c->bytes);
    mls_dequantize(t, mls__weights_at(net, &net->nodes[i]));
    net->nodes[i].coded = 1;
}

/* Packed weights: first looks at all of them, to leave the network as it is if any are wrong. */
static mls_status mls__get_packed(mls_net *net, const uint8_t *p, const mls__head *head,
                                  const uint8_t *nodes)
{
    for (int twice = 0; twice < 2; twice++) {
        const uint8_t *at = p;
        for (int32_t i = 0; i < net->count; i++) {
            mls_node *node = &net->nodes[i];
            const mls_format f = node->format[MLS__W];
            const mls__coded c = mls__coded_of(node);
            float *w = mls__weights_at(net, node);
            mls_format there[MLS__ROLES];
            memset(there, 0, sizeof there);
            mls__get_formats(nodes + (size_t)i * (size_t)head->node + 4 * MLS__FACTS_FIRST, there);
            if (memcmp(&there[MLS__W], &f, sizeof f) != 0) {
                return mls__fail(net, MLS_ERROR_DATA, i, "its packed weights have another format");
            }
            if (c.elements && !twice && !mls__coded_good(at, f, &c)) {
                return mls__fail(net, MLS_ERROR_DATA, i, "its packed weights are damaged");
            }
            if (c.elements && twice) mls__get_coded(at, net, i, &c);
            if (!c.elements && twice) mls__get_floats(at, w, node->weights);
            at += c.elements ? 4 + c.group_bytes + c.bytes : 4 * node->weights;
            if (twice) mls__get_floats(at, w + mls__up(node->weights), node->seconds);
            at += 4 * node->seconds;
        }
    }
    return MLS_OK;
}

static void mls__say_kept(mls_net *net, uint32_t kept)
{
    mls__say(net->text, sizeof net->text, kept & MLS_ADAMW ? "AdamW" : "SGD");
    if (kept & MLS__KEPT_AVERAGE) mls__say(net->text, sizeof net->text, " with an average");
}

/* Whether the numbers of a checkpoint can be those of a network. */
static mls_status mls__content_fits(mls_net *net, const mls__head *head)
{
    const mls_content content = mls__content_of(head);
    const uint32_t kept = mls__kept_of(head);
    if (content == MLS_CONTENT_PACKED && !net->desc.inference) {
        return mls__fail(net, MLS_ERROR_DATA, -1,
                         "packed weights are for inference: they cannot be trained");
    }
    if (content == MLS_CONTENT_TRAINING && !net->desc.inference && kept != mls__kept(net)) {
        mls__fail(net, MLS_ERROR_DATA, -1, "a checkpoint of ");
        mls__say_kept(net, kept);
        mls__say(net->text, sizeof net->text, ", not of ");
        mls__say_kept(net, mls__kept(net));
        mls__say(net->text, sizeof net->text, ": its weights go on as a model");
        return net->status;
    }
    if (head->numbers == mls__content_bytes(net, content, kept)) return MLS_OK;
    return mls__fail(net, MLS_ERROR_DATA, -1, "its numbers are of other formats, or damaged");
}

/* All that a network trained on. */
static void mls__get_training(mls_net *net, const uint8_t *p)
{
    for (int32_t part = 0; part < MLS__PARTS; part++) p = mls__get_part(p, net, part);
}

/* Weights, if they are not packed, and states: of training the average, if there is one. */
static void mls__get_model(mls_net *net, const uint8_t *p, const mls__head *head)
{
    const size_t parameters = 4 * net->parameters, states = 4 * net->states;
    const uint8_t *end = p + head->numbers;
    if (mls__content_of(head) == MLS_CONTENT_TRAINING &&
        !(mls__kept_of(head) & MLS__KEPT_AVERAGE)) {
        mls__get_part(p, net, MLS__PART_WEIGHTS);
        mls__get_part(p + 2 * parameters, net, MLS__PART_STATES);
        return;
    }
    if (mls__content_of(head) != MLS_CONTENT_PACKED) {
        mls__get_part(end - states - parameters, net, MLS__PART_WEIGHTS);
    }
    mls__get_part(end - states, net, MLS__PART_STATES);
    mls__average_start(net);
    if (mls__kept(net)) net->updates = 0;
}

MLS_DEF mls_status mls_net_checkpoint_read(mls_net *net, const void *from, size_t size, void *note,
                                           size_t note_size)
{
    const uint8_t *p = (const uint8_t *)from, *at;
    mls__head head;
    const char *wrong;
    mls_status status = net ? mls__bound(net) : MLS_ERROR_ARGUMENT;
    if (status != MLS_OK) return status;
    if (!p || (note_size && !note)) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, 0);
    if (net->desc.weights_of) return mls__not_owner(net);
    wrong = mls__get_head(p, size, &head);
    if (wrong) return mls__fail(net, MLS_ERROR_DATA, -1, wrong);
    if (head.network != mls__net_identity(net) || head.parameters != net->parameters ||
        head.states != net->states || (head.nodes && (int64_t)head.nodes != net->count)) {
        return mls__other_network(net, p, &head, "a checkpoint of another network");
    }
    if (note && note_size != head.note) {
        mls__fail(net, MLS_ERROR_DATA, -1, "another note: ");
        return mls__say_both(net, "bytes", (int64_t)head.note, (int64_t)note_size);
    }
    if (mls__content_fits(net, &head) != MLS_OK) return net->status;
    at = mls__note_at(p, &head) + head.note;
    if (mls__content_of(&head) == MLS_CONTENT_PACKED) {
        status = mls__get_packed(net, at, &head, mls__node_at(p, &head, 0));
        if (status != MLS_OK) return status;
    } else {
        for (int32_t i = 0; i < net->count; i++) net->nodes[i].coded = 0;
    }
    if (note_size) memcpy(note, at - head.note, note_size);
    net->desc.seed = head.seed;
    net->step = (int64_t)head.step, net->updates = (int64_t)head.updates;
    net->images_pending = 0, net->packed = 0;
    if (!net->desc.inference) { /* the gradient, and what the optimizer keeps */
        const size_t kept = mls__states_at(net) - net->parameters;
        memset(mls__floats(net, 0) + net->parameters, 0, kept * sizeof(float));
    }
    if (!net->desc.inference && mls__content_of(&head) == MLS_CONTENT_TRAINING) {
        mls__get_training(net, at);
    } else {
        mls__get_model(net, at, &head);
    }
    return MLS_OK;
}

/* The facts of a node, field by field, in the order of mls__node_facts. */
typedef struct mls__node_there {
    int32_t kind, in[2], h, w, c, kh, kw, conv_stride, top, size, stride, pad, bias;
    int32_t groups, dilation_h, dilation_w, stride_w, left, bottom, right, amount;
} mls__node_there;

static mls__node_there mls__node_get(const uint8_t *there, size_t bytes)
{
    mls__node_there f;
    int32_t of[MLS__FACTS];
    for (int j = 0; j < MLS__FACTS; j++) of[j] = mls__fact_there(there, bytes, j, 0);
    memcpy(&f, of, sizeof f);
    if (bytes < MLS__NODE_FACTS)
        f.left = f.bottom = f.right = f.top; /* 0 means the default of the rest */
    return f;
}

/* In fp32: the formats are given afterwards. */
static int32_t mls__open_conv(mls_net *net, const mls__node_there *f)
{
    mls_conv_desc d;
    memset(&d, 0, sizeof d);
    d.fp32 = 1, d.bias = f->bias;
    d.c_out = f->c, d.kh = f->kh, d.kw = f->kw, d.groups = f->groups;
    d.stride = f->conv_stride, d.stride_w = f->stride_w;
    d.dilation_h = f->dilation_h, d.dilation_w = f->dilation_w;
    d.pad_top = f->top, d.pad_left = f->left, d.pad_bottom = f->bottom, d.pad_right = f->right;
    return mls_net_conv(net, f->in[0], &d);
}

/* Builds a layer from its facts. Those that it does not take are compared when all are built. */
static int32_t mls__open_layer(mls_net *net, const mls_layer_kind *kind, const mls__node_there *f)
{
    const int32_t x = f->in[0];
    const float amount = mls__float((uint32_t)f->amount);
    if (kind == &mls__input) return mls_net_input(net, f->h, f->w, f->c);
    if (kind == &mls__convolution) return mls__open_conv(net, f);
    if (kind == &mls__linear) return mls_net_linear(net, x, f->c);
    if (kind == &mls__subsample) return mls_net_subsample(net, x, f->stride, f->c);
    if (kind == &mls__max_pool || kind == &mls__average_pool) {
        return mls__pool(net, kind, x, f->size, f->stride, f->pad);
    }
    if (kind == &mls__add || kind == &mls__concat) return mls__layer(net, kind, 2, x, f->in[1]);
    return mls__layer_of(net, kind, x, amount);
}

/* Whether any of them is not fp32. */
static int mls__formats_given(const mls_formats *formats)
{
    mls_format of[MLS__OPERANDS];
    int given = 0;
    mls__formats_spread(formats, of);
    for (int o = 0; o < MLS__OPERANDS; o++) given |= mls__quantized(of[o]);
    return given;
}

/* Builds the next node. */
static mls_status mls__open_node(mls_net *net, const uint8_t *there, size_t bytes)
{
    const mls__node_there f = mls__node_get(there, bytes);
    const mls_layer_kind *kind = mls__kind_of(f.kind);
    const int32_t i = net->count;
    mls_formats formats;
    if (!kind || (bytes >= MLS__NODE_CUSTOM && there[MLS__NODE_NAMED])) {
        mls__fail(net, MLS_ERROR_DATA, -1, "");
        mls__say_kind(net, there, bytes);
        mls__say(net->text, sizeof net->text, ": only a program that has this layer can build it");
        return net->status;
    }
    if (!mls__formats_there(there, bytes, &formats)) {
        return mls__fail(net, MLS_ERROR_DATA, -1, "one of its formats is not a format");
    }
    if (mls__open_layer(net, kind, &f) != i) return net->status;
    if (mls__formats_given(&formats)) mls_net_format(net, i, &formats);
    if (bytes >= MLS__NODE_NAMED && there[MLS__NODE_FORMATS]) {
        mls_net_name(net, i, (const char *)there + MLS__NODE_FORMATS);
    }
    return net->status;
}

/* Whatever a build call says is the fault of the file. */
static mls_status mls__open_failed(mls_net *net, int32_t i)
{
    char text[sizeof net->text];
    memcpy(text, net->text, sizeof text);
    mls__fail(net, MLS_ERROR_DATA, -1, "the checkpoint's node ");
    mls__say_int(net->text, sizeof net->text, i);
    mls__say(net->text, sizeof net->text, ": ");
    mls__say(net->text, sizeof net->text, text);
    return net->status;
}

MLS_DEF mls_status mls_net_open(mls_net *net, const mls_net_desc *desc, mls_node *nodes,
                                int32_t capacity, const void *from, size_t size)
{
    const uint8_t *p = (const uint8_t *)from;
    const char *wrong;
    mls_net_desc d;
    mls__head head;
    if (!net) return MLS_ERROR_ARGUMENT;
    memset(net, 0, sizeof *net), memset(&d, 0, sizeof d);
    if (!p || !nodes) return mls__fail(net, MLS_ERROR_ARGUMENT, -1, 0);
    wrong = mls__get_head(p, size, &head);
    if (!wrong && head.version < 2) wrong = "a checkpoint of format 1, which has no network in it";
    if (wrong) return mls__fail(net, MLS_ERROR_DATA, -1, wrong);
    if ((int64_t)head.nodes > capacity) {
        return mls__fail(net, MLS_ERROR_MEMORY, -1, "more nodes than mls_net_open was given");
    }
    if (desc) d = *desc;
    memset(&d.formats, 0, sizeof d.formats);
    d.quantize_first = d.quantize_last = 0;
    d.seed = head.seed;
    if (mls__content_of(&head) == MLS_CONTENT_PACKED) d.inference = 1;
    if (!d.optimizer) d.optimizer = (mls_optimizer)(mls__kept_of(&head) & MLS_ADAMW);
    if (!d.average) d.average = mls__kept_of(&head) & MLS__KEPT_AVERAGE ? 1 : 0;
    if (!d.batch) d.batch = (int32_t)head.batch;
    if (d.bn_momentum == 0) d.bn_momentum = mls__float((uint32_t)head.bn_momentum);
    if (d.bn_epsilon == 0) d.bn_epsilon = mls__float((uint32_t)head.bn_epsilon);
    if (mls_net_begin(net, &d, nodes, capacity) != MLS_OK) return net->status;
    for (int32_t i = 0; i < (int32_t)head.nodes; i++) {
        const uint8_t *there = mls__node_at(p, &head, i);
        if (mls__open_node(net, there, (size_t)head.node) != MLS_OK)
            return mls__open_failed(net, i);
    }
    if (mls__net_identity(net) == head.network) return MLS_OK;
    return mls__other_network(net, p, &head, "the checkpoint contradicts itself");
}

/* ----------------------------------------------------------------------------------- >>data */

static int mls__data_ok(const mls_data *d)
{
    return d && d->pixels && d->count > 0 && d->h > 0 && d->w > 0 && d->c > 0 && d->c <= 4;
}

MLS_DEF mls_status mls_data_normalise(const mls_data *data, mls_augment *augment)
{
    size_t pixels;
    if (!mls__data_ok(data) || !augment) return MLS_ERROR_ARGUMENT;
    if (!mls__floats_here()) return MLS_ERROR_FLOATS;
    pixels = (size_t)data->count * (size_t)data->h * (size_t)data->w;
    for (size_t ch = 0; ch < (size_t)data->c; ch++) {
        uint64_t sum = 0, square = 0;
        double variance;
        for (size_t i = 0; i < pixels; i++) {
            uint64_t v = data->pixels[i * (size_t)data->c + ch];
            sum += v, square += v * v;
        }
        augment->mean[ch] = (float)((double)sum / (double)pixels);
        variance =
            (double)square / (double)pixels - (double)augment->mean[ch] * (double)augment->mean[ch];
        augment->scale[ch] = variance > 0 ? 1 / mls__sqrt((float)variance) : 1.0f;
    }
    return MLS_OK;
}

/* A permutation of 0 .. count - 1 as a function: four Feistel rounds on the next power of four,
   repeated until the result is inside. */
MLS_DEF int32_t mls_data_order(int32_t count, uint64_t seed, int64_t epoch, int32_t position)
{
    uint64_t key = mls_seed(mls_seed(seed, 0x0de5), (uint64_t)epoch);
    uint32_t half = 1, mask, x = (uint32_t)position;
    if (position < 0 || position >= count) return -1;
    while (half < 16 && ((uint64_t)1 << (2 * half)) < (uint64_t)count) half++;
    mask = (1u << half) - 1;
    do {
        uint32_t left = x >> half, right = x & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint32_t next = left ^ ((uint32_t)mls_seed(key + round, right) & mask);
            left = right, right = next;
        }
        x = left << half | right;
    } while (x >= (uint32_t)count);
    return (int32_t)x;
}

/* Whether the data have pictures first .. first + count - 1. */
static int mls__data_has(const mls_data *d, int64_t first, int32_t count)
{
    return mls__data_ok(d) && first >= 0 && count > 0 && count <= d->count &&
           first <= d->count - count;
}

/* The picture at a position of an epoch. */
static int32_t mls__data_index(const mls_data *data, const mls_augment *augment, uint64_t seed,
                               int64_t epoch, int32_t position)
{
    if (!augment || !augment->shuffle) return position;
    return mls_data_order(data->count, seed, epoch, position);
}

MLS_DEF mls_status mls_data_targets(const mls_data *data, const mls_augment *augment, uint64_t seed,
                                    int64_t epoch, int64_t first, int32_t count, const float *of,
                                    int32_t outputs, float *targets)
{
    const size_t each = (size_t)outputs;
    if (!mls__data_has(data, first, count) || !of || outputs < 1 || !targets) {
        return MLS_ERROR_ARGUMENT;
    }
    for (int32_t n = 0; n < count; n++) {
        const int32_t index = mls__data_index(data, augment, seed, epoch, (int32_t)first + n);
        memcpy(targets + (size_t)n * each, of + (size_t)index * each, each * sizeof(float));
    }
    return MLS_OK;
}

MLS_DEF mls_status mls_data_labels_16(const mls_data *data, const mls_augment *augment,
                                      uint64_t seed, int64_t epoch, int64_t first, int32_t count,
                                      const uint16_t *of, int32_t *labels)
{
    if (!mls__data_has(data, first, count) || !of || !labels) return MLS_ERROR_ARGUMENT;
    for (int32_t n = 0; n < count; n++) {
        labels[n] = of[mls__data_index(data, augment, seed, epoch, (int32_t)first + n)];
    }
    return MLS_OK;
}

MLS_DEF mls_status mls_data_batch(const mls_data *data, const mls_augment *augment, uint64_t seed,
                                  int64_t epoch, int64_t first, int32_t count, float *images,
                                  int32_t *labels)
{
    mls_augment a;
    uint64_t key = mls_seed(mls_seed(seed, 0xa139), (uint64_t)epoch);
    memset(&a, 0, sizeof a);
    if (augment) a = *augment;
    if (!mls__data_has(data, first, count) || !images || a.crop < 0 || a.crop > 1 << 20) {
        return MLS_ERROR_ARGUMENT;
    }
    if (!labels != !data->labels) return MLS_ERROR_ARGUMENT;
    if (!mls__floats_good(count > 16 ? MLS__THREADS() : 1)) return MLS_ERROR_FLOATS;
    for (int ch = 0; ch < 4; ch++) {
        if (a.scale[ch] == 0) a.mean[ch] = 128, a.scale[ch] = 1.0f / 128;
    }
    MLS__OMP(omp parallel for schedule(static) if (count > 16))
    for (int32_t n = 0; n < count; n++) {
        int32_t at = (int32_t)first + n, h = data->h, w = data->w, c = data->c;
        int32_t index = mls__data_index(data, &a, seed, epoch, at);
        uint64_t random = mls_seed(key, (uint64_t)index);
        uint32_t span = 2 * (uint32_t)a.crop + 1;
        int32_t dy = (int32_t)((uint32_t)(random & 0xffffff) % span) - a.crop;
        int32_t dx = (int32_t)((uint32_t)(random >> 24 & 0xffffff) % span) - a.crop;
        int mirror = a.flip && random >> 63;
        const uint8_t *from = data->pixels + (size_t)index * (size_t)h * (size_t)w * (size_t)c;
        float *to = images + (size_t)n * (size_t)h * (size_t)w * (size_t)c;
        if (labels) labels[n] = data->labels[index];
        for (int32_t y = 0; y < h; y++) {
            for (int32_t x = 0; x < w; x++, to += c) {
                int32_t sy = y + dy, sx = (mirror ? w - 1 - x : x) + dx;
                int inside = sy >= 0 && sy < h && sx >= 0 && sx < w;
                for (int32_t ch = 0; ch < c; ch++) {
                    /* the padding is 0 after normalisation: the mean colour */
                    float v = 0;
                    if (inside) {
                        v = (float)from[((size_t)sy * (size_t)w + (size_t)sx) * (size_t)c +
                                        (size_t)ch] -
                            a.mean[ch];
                    }
                    to[ch] = v * a.scale[ch];
                }
            }
        }
    }
    return MLS_OK;
}

/* A wave of integers: period 256, values -64 .. 64. */
static int32_t mls__wave(int32_t phase)
{
    phase &= 255;
    return phase < 128 ? phase - 64 : 192 - phase;
}

/* A class is a texture: one of five directions and one of two colourings. The texture fills a disc
   somewhere in the picture; around it lies the texture of another class, fainter; noise covers
   both. */
MLS_DEF mls_status mls_data_synthetic(mls_data *data, int32_t count, uint64_t seed, uint64_t part)
{
    static const int8_t direction[5][2] = {{12, 0}, {0, 12}, {9, 9}, {9, -9}, {6, 11}};
    static const int8_t colour[2][3] = {{6, -3, 3}, {-3, 6, 3}};
    uint64_t base = mls_seed(mls_seed(seed, 0x5e7), part);
    if (!data || !data->pixels || !data->labels || count < 1) return MLS_ERROR_ARGUMENT;
    data->count = count, data->h = data->w = 32, data->c = 3, data->classes = 10;
    memset(data->names, 0, sizeof data->names);
    for (int32_t i = 0; i < 10; i++) {
        mls__say(data->names[i], sizeof data->names[i], "texture ");
        mls__say_int(data->names[i], sizeof data->names[i], i);
    }
    for (int32_t n = 0; n < count; n++) {
        uint64_t key = mls_seed(base, (uint64_t)n);
        uint8_t *to = data->pixels + (size_t)n * 3072;
        int32_t r[10], label = n % 10, other;
        for (uint64_t i = 0; i < 10; i++) r[i] = (int32_t)mls_random16(key, i);
        other = (label + 1 + r[0] % 9) % 10;
        data->labels[n] = (uint8_t)label;
        for (int32_t y = 0; y < 32; y++)
            for (int32_t x = 0; x < 32; x++, to += 3) {
                int32_t cy = 10 + r[1] % 12, cx = 10 + r[2] % 12, radius = 8 + r[3] % 4;
                int inside = (y - cy) * (y - cy) + (x - cx) * (x - cx) <= radius * radius;
                int32_t texture = inside ? label : other,
                        strength = inside ? 5 + r[4] % 6 : 3 + r[5] % 4;
                int32_t phase = direction[texture % 5][0] * x * (12 + r[6] % 5) / 12 +
                                direction[texture % 5][1] * y * (12 + r[6] % 5) / 12 +
                                r[inside ? 7 : 8];
                int32_t wave = mls__wave(phase), light = r[9] % 60 - 30;
                for (int32_t ch = 0; ch < 3; ch++) {
                    uint64_t at = 16 + (uint64_t)((y * 32 + x) * 3 + ch);
                    int32_t noise = (int32_t)(mls_random16(key, at) & 127) - 64;
                    int32_t v =
                        128 + light + noise + wave * colour[texture / 5][ch] * strength / 32;
                    to[ch] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
                }
            }
    }
    return MLS_OK;
}

/* ---------------------------------------------------------------------------------- >>files */
#ifndef MLS_NO_MALLOC

MLS_DEF void mls_data_free(mls_data *data)
{
    if (!data) return;
    if (data->pixels) MLS_FREE(data->pixels);
    if (data->labels) MLS_FREE(data->labels);
    memset(data, 0, sizeof *data);
}

#ifndef MLS_NO_STDIO
#include <errno.h>
#include <stdio.h>
#if defined(__unix__) || defined(__APPLE__)
#define MLS__POSIX   1
#define MLS__WINDOWS 0
#include <fcntl.h>
#include <unistd.h>
#elif defined(_WIN32)
#define MLS__POSIX   0
#define MLS__WINDOWS 1
#include <io.h>
#else
#define MLS__POSIX   0
#define MLS__WINDOWS 0
#endif
#if MLS__POSIX || defined(__MINGW32__)
#define MLS__FOLDERS 1
#include <dirent.h>
#include <sys/stat.h>
#else
#define MLS__FOLDERS 0
#endif
/* Strict C11 hides fsync, and <windows.h> would bring a thousand macros; some hosts declare them. */
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#endif
#ifdef __cplusplus
extern "C" {
#endif
#if MLS__POSIX
extern int fsync(int);
#elif MLS__WINDOWS
extern __declspec(dllimport) int __stdcall MoveFileExA(const char *, const char *, unsigned long);
#endif
#ifdef __cplusplus
}
#endif
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic pop
#endif

static int mls__is_control(char c)
{
    return (unsigned char)c < 32 || c == 127;
}

/* Appends a path; of a long one its end, so that half of the text is left for what is wrong. A name
   may have line feeds in it, or colour the terminal: they are shown as ?. */
static void mls__say_path(char *text, size_t size, const char *path)
{
    size_t length = strlen(path);
    if (length > size / 2) {
        mls__say(text, size, "...");
        path += length - size / 2;
    }
    mls__say(text, size, path);
    for (size_t i = 0; text && i < size && text[i]; i++) {
        if (mls__is_control(text[i])) text[i] = '?';
    }
}

/* text = what: path */
static mls_status mls__file_error(char *text, size_t size, mls_status status, const char *what,
                                  const char *path)
{
    if (text && size) text[0] = 0;
    mls__say(text, size, what);
    mls__say(text, size, ": ");
    mls__say_path(text, size, path);
    return status;
}

/* text = what: path: why, as the system says; or that there is no memory for path */
static mls_status mls__io_error(char *text, size_t size, mls_status status, const char *what,
                                const char *path)
{
    int reason = errno;
    mls__file_error(text, size, status, status == MLS_ERROR_MEMORY ? "no memory for" : what, path);
    if (status == MLS_ERROR_IO && reason) {
        mls__say(text, size, ": ");
        mls__say(text, size, strerror(reason));
    }
    return status;
}

/* a/b in new memory; null: none left. */
static char *mls__path(const char *a, const char *middle, const char *b)
{
    size_t size = strlen(a) + strlen(middle) + strlen(b) + 1;
    char *p = (char *)MLS_MALLOC(size);
    if (!p) return 0;
    p[0] = 0;
    mls__say(p, size, a);
    mls__say(p, size, middle);
    mls__say(p, size, b);
    return p;
}

/* The size of a file, which is then read from its start; -1: not known. */
static int64_t mls__file_size(FILE *f)
{
    int64_t end = -1;
    if (fgetc(f) == EOF && ferror(f)) return -1; /* a folder can be opened, but not read */
#if MLS__WINDOWS                                 /* a long has 32 bits */
    if (_fseeki64(f, 0, SEEK_END) == 0) end = _ftelli64(f);
#else
    if (fseek(f, 0, SEEK_END) == 0) end = ftell(f);
#endif
    return fseek(f, 0, SEEK_SET) == 0 ? end : -1;
}

/* The whole file in new memory, at most limit bytes. */
static mls_status mls__file_read(const char *path, size_t limit, void **bytes, size_t *size)
{
    FILE *f = fopen(path, "rb");
    int64_t end = f ? mls__file_size(f) : -1;
    mls_status status = end < 0 ? MLS_ERROR_IO : MLS_OK;
    *bytes = 0, *size = 0;
    if (status == MLS_OK && (uint64_t)end > limit) status = MLS_ERROR_DATA;
    if (status == MLS_OK) {
        *size = (size_t)end;
        *bytes = MLS_MALLOC(*size ? *size : 1);
        if (!*bytes)
            status = MLS_ERROR_MEMORY;
        else if (fread(*bytes, 1, *size, f) != *size)
            status = MLS_ERROR_IO;
    }
    if (status != MLS_OK && *bytes) {
        MLS_FREE(*bytes);
        *bytes = 0;
    }
    if (f) fclose(f);
    return status;
}

/* Writes a new file and brings it to the disk. */
static int mls__file_write(const char *path, const uint8_t *bytes, size_t size)
{
#if MLS__POSIX
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666), good = fd >= 0;
    while (good && size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) continue;
        good = n > 0;
        if (good) bytes += n, size -= (size_t)n;
    }
    if (good) good = fsync(fd) == 0;
    if (fd >= 0) good = close(fd) == 0 && good;
    return good;
#else
    FILE *f = fopen(path, "wb");
    int good = f && fwrite(bytes, 1, size, f) == size && fflush(f) == 0;
#if MLS__WINDOWS
    if (good) good = _commit(_fileno(f)) == 0;
#endif
    if (f) good = fclose(f) == 0 && good;
    return good;
#endif
}

/* Brings a rename in the folder of path to the disk. */
static void mls__folder_sync(const char *path)
{
#if MLS__POSIX
    char *folder = mls__path(path, "", "");
    size_t n = folder ? strlen(folder) : 0;
    int fd;
    while (n && folder[n - 1] != '/') n--;
    if (!folder) return;
    folder[n > 1 ? n - 1 : n] = 0;
    fd = open(n ? folder : ".", O_RDONLY);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    MLS_FREE(folder);
#else
    (void)path; /* Windows has done it, others do not know how */
#endif
}

/* Gives a file the name of another one, which it replaces. */
static int mls__file_rename(const char *from, const char *to)
{
#if MLS__WINDOWS
    const unsigned long replace = 1, write_through = 8;
    if (MoveFileExA(from, to, replace | write_through)) return 1;
    errno = EACCES; /* nearly always: another program has the file open */
    return 0;
#elif MLS__POSIX
    struct stat s;
    if (stat(to, &s) != 0 || S_ISREG(s.st_mode) || S_ISDIR(s.st_mode)) return rename(from, to) == 0;
    errno = EPERM; /* root could replace /dev/null */
    return 0;
#else
    return rename(from, to) == 0 || (remove(to) == 0 && rename(from, to) == 0);
#endif
}

MLS_DEF mls_status mls_file_save(const char *path, const void *bytes, size_t size, char *text,
                                 size_t text_size)
{
    char *temporary;
    mls_status status = MLS_OK;
    if (text && text_size) text[0] = 0;
    if (!path || (size && !bytes)) return MLS_ERROR_ARGUMENT;
    temporary = mls__path(path, "", ".tmp");
    if (!temporary)
        return mls__file_error(text, text_size, MLS_ERROR_MEMORY, "no memory for", path);
    errno = 0;
    if (mls__file_write(temporary, (const uint8_t *)bytes, size) &&
        mls__file_rename(temporary, path)) {
        mls__folder_sync(path);
    } else {
        status = mls__io_error(text, text_size, MLS_ERROR_IO, "cannot write", path);
        remove(temporary);
    }
    MLS_FREE(temporary);
    return status;
}

static mls_status mls__content_save(mls_net *net, mls_content content, const char *path,
                                    const void *note, size_t note_size)
{
    size_t size;
    uint8_t *bytes;
    mls_status status;
    if (!net || !path) return MLS_ERROR_ARGUMENT;
    status = mls__bound(net);
    if (status != MLS_OK) return status;
    size = mls__content_size(net, content, note_size);
    if (!size) return mls__content_write(net, content, note, note_size, 0, 0); /* says why */
    bytes = (uint8_t *)MLS_MALLOC(size);
    if (!bytes) return mls__fail(net, MLS_ERROR_MEMORY, -1, 0);
    status = mls__content_write(net, content, note, note_size, bytes, size);
    if (status == MLS_OK) {
        status = mls_file_save(path, bytes, size, net->text, sizeof net->text);
        net->status = status;
    }
    MLS_FREE(bytes);
    return status;
}

MLS_DEF mls_status mls_net_save(mls_net *net, const char *path, const void *note, size_t note_size)
{
    return mls__content_save(net, MLS_CONTENT_TRAINING, path, note, note_size);
}

MLS_DEF mls_status mls_net_model_save(mls_net *net, const char *path, int packed, const void *note,
                                      size_t note_size)
{
    return mls__content_save(net, packed ? MLS_CONTENT_PACKED : MLS_CONTENT_FP32, path, note,
                             note_size);
}

MLS_DEF mls_status mls_file_load(const char *path, void **bytes, size_t *size, char *text,
                                 size_t text_size)
{
    mls_status status;
    if (text && text_size) text[0] = 0;
    if (!path || !bytes || !size) return MLS_ERROR_ARGUMENT;
    errno = 0;
    status = mls__file_read(path, SIZE_MAX / 4, bytes, size);
    if (status == MLS_ERROR_DATA) status = MLS_ERROR_MEMORY;
    if (status != MLS_OK) mls__io_error(text, text_size, status, "cannot read", path);
    return status;
}

MLS_DEF void mls_file_free(void *bytes)
{
    if (bytes) MLS_FREE(bytes);
}

MLS_DEF mls_status mls_net_load(mls_net *net, const char *path, void *note, size_t note_size)
{
    void *bytes;
    size_t size;
    mls_status status;
    if (!net || !path) return MLS_ERROR_ARGUMENT;
    status = mls__bound(net);
    if (status != MLS_OK) return status;
    net->status = mls_file_load(path, &bytes, &size, net->text, sizeof net->text);
    if (net->status != MLS_OK) return net->status;
    if (mls_net_checkpoint_read(net, bytes, size, note, note_size) != MLS_OK) {
        char text[sizeof net->text];
        memcpy(text, net->text, sizeof text);
        net->text[0] = 0;
        mls__say_path(net->text, sizeof net->text, path);
        mls__say(net->text, sizeof net->text, ": ");
        mls__say(net->text, sizeof net->text, text);
    }
    mls_file_free(bytes);
    return net->status;
}

/* Memory for count pictures; leaves classes and names as they are. */
static mls_status mls__data_new(mls_data *data, size_t count, int32_t h, int32_t w, int32_t c)
{
    size_t size;
    if (h < 1 || w < 1 || count < 1 || count > INT32_MAX ||
        !mls__mul((size_t)h, (size_t)w, &size) || !mls__mul(size, (size_t)c, &size) ||
        !mls__mul(size, count, &size)) {
        return MLS_ERROR_SHAPE;
    }
    data->pixels = (uint8_t *)MLS_MALLOC(size);
    data->labels = (uint8_t *)MLS_MALLOC(count);
    if (!data->pixels || !data->labels) return MLS_ERROR_MEMORY;
    data->count = (int32_t)count, data->h = h, data->w = w, data->c = c;
    return MLS_OK;
}

enum {
    MLS__CIFAR_PICTURES = 10000, /* in a file */
    MLS__CIFAR_RECORD = 1 + 3 * 1024
};

/* A file of CIFAR-10: records of a label and three planes of 32 x 32. */
static mls_status mls__cifar_file(const char *path, uint8_t *pixels, uint8_t *labels, char *text,
                                  size_t size)
{
    const size_t want = (size_t)MLS__CIFAR_PICTURES * MLS__CIFAR_RECORD;
    void *bytes;
    size_t got;
    mls_status status;
    errno = 0;
    status = mls__file_read(path, want, &bytes, &got);
    if (status == MLS_ERROR_DATA || (status == MLS_OK && got != want)) {
        status =
            mls__file_error(text, size, MLS_ERROR_DATA,
                            "not 30730000 bytes long, as 10000 pictures of CIFAR-10 are", path);
    } else if (status != MLS_OK) {
        mls__io_error(text, size, status, "cannot read", path);
    }
    for (size_t n = 0; n < MLS__CIFAR_PICTURES && status == MLS_OK; n++) {
        const uint8_t *record = (const uint8_t *)bytes + n * MLS__CIFAR_RECORD;
        if (record[0] > 9) {
            status = mls__file_error(text, size, MLS_ERROR_DATA,
                                     "not pictures of CIFAR-10, as a label is over 9", path);
        }
        labels[n] = record[0];
        for (size_t i = 0; i < 1024; i++) { /* planes to channels-last */
            for (size_t ch = 0; ch < 3; ch++) {
                pixels[n * 3072 + i * 3 + ch] = record[1 + ch * 1024 + i];
            }
        }
    }
    if (bytes) MLS_FREE(bytes);
    return status;
}

MLS_DEF mls_status mls_data_cifar10(mls_data *data, const char *folder, int part, char *text,
                                    size_t size)
{
    static const char *const classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                          "dog",      "frog",       "horse", "ship", "truck"};
    int files = part ? 1 : 5;
    mls_status status;
    if (!data || !folder || part < 0 || part > 1) return MLS_ERROR_ARGUMENT;
    memset(data, 0, sizeof *data);
    data->classes = 10;
    for (int i = 0; i < 10; i++) mls__say(data->names[i], sizeof data->names[i], classes[i]);
    status = mls__data_new(data, (size_t)files * MLS__CIFAR_PICTURES, 32, 32, 3);
    if (status != MLS_OK) mls__file_error(text, size, status, "no memory for", folder);
    for (int file = 0; file < files && status == MLS_OK; file++) {
        size_t first = (size_t)file * MLS__CIFAR_PICTURES;
        char name[24] = {0};
        char *path;
        mls__say(name, sizeof name, part ? "test_batch" : "data_batch_");
        if (!part) mls__say_int(name, sizeof name, file + 1);
        mls__say(name, sizeof name, ".bin");
        path = mls__path(folder, "/", name);
        status = path ? mls__cifar_file(path, data->pixels + first * 3072, data->labels + first,
                                        text, size)
                      : mls__file_error(text, size, MLS_ERROR_MEMORY, "no memory for", folder);
        if (path) MLS_FREE(path);
    }
    if (status != MLS_OK) mls_data_free(data);
    return status;
}

#if MLS__FOLDERS
/* Paths in memory of their own; of pictures also the class. */
typedef struct mls__path_of {
    char *path;
    int32_t label;
} mls__path_of;
typedef struct mls__paths {
    mls__path_of *at;
    size_t count, room;
} mls__paths;

static void mls__paths_free(mls__paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) MLS_FREE(paths->at[i].path);
    if (paths->at) MLS_FREE(paths->at);
    memset(paths, 0, sizeof *paths);
}

/* Appends folder/name. */
static mls_status mls__paths_add(mls__paths *paths, const char *folder, const char *name)
{
    if (paths->count == paths->room) {
        const size_t room = paths->room ? 2 * paths->room : 64;
        mls__path_of *more = (mls__path_of *)MLS_MALLOC(room * sizeof *more);
        if (!more) return MLS_ERROR_MEMORY;
        if (paths->at) {
            memcpy(more, paths->at, paths->count * sizeof *more);
            MLS_FREE(paths->at);
        }
        paths->at = more, paths->room = room;
    }
    paths->at[paths->count].path = mls__path(folder, "/", name);
    if (!paths->at[paths->count].path) return MLS_ERROR_MEMORY;
    paths->count++;
    return MLS_OK;
}

/* Shell sort: the order in a folder is the file system's business, that of training is ours. */
static void mls__paths_sort(mls__path_of *at, size_t count)
{
    for (size_t gap = count / 2; gap; gap /= 2) {
        for (size_t i = gap; i < count; i++) {
            const mls__path_of moving = at[i];
            size_t j = i;
            for (; j >= gap && strcmp(at[j - gap].path, moving.path) > 0; j -= gap) {
                at[j] = at[j - gap];
            }
            at[j] = moving;
        }
    }
}

/* Appends what is in a folder, sorted. */
static mls_status mls__paths_read(mls__paths *paths, const char *folder, char *text, size_t size)
{
    const size_t first = paths->count;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    mls_status status = MLS_OK;
    if (!dir) return mls__io_error(text, size, MLS_ERROR_IO, "cannot read folder", folder);
    while (status == MLS_OK) {
        errno = 0;
        entry = readdir(dir);
        if (!entry && errno) status = MLS_ERROR_IO;
        if (!entry) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        status = mls__paths_add(paths, folder, entry->d_name);
    }
    if (status != MLS_OK) mls__io_error(text, size, status, "cannot read folder", folder);
    closedir(dir);
    if (paths->count > first) mls__paths_sort(paths->at + first, paths->count - first);
    return status;
}

static const char *mls__file_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

static int mls__is_picture(const char *name)
{
    static const char *const ends[] = {".jpg", ".jpeg", ".png"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t m = strlen(ends[i]), same = 0;
        for (; n > m && same < m; same++) {
            char c = name[n - m + same];
            if (c >= 'A' && c <= 'Z') c = (char)(c + ('a' - 'A'));
            if (c != ends[i][same]) break;
        }
        if (same == m) return 1;
    }
    return 0;
}

/* The pictures of a folder, listed before the first is decoded. */
typedef struct mls__listing {
    const mls_folder_desc *desc;
    mls_data *data; /* classes and names */
    mls__paths pictures;
    char *text;
    size_t size;
} mls__listing;

static void mls__leave_out(const mls_folder_desc *desc, mls_left_out reason, const char *path,
                           const char *text)
{
    static const char *const texts[] = {
        "cannot be decoded",      "does not end in .jpg, .jpeg or .png", "is hidden",
        "is a folder in a class", "lies beside the class folders",       "has no pictures"};
    if (desc->left_out) desc->left_out(desc->user, reason, path, text ? text : texts[reason]);
}

/* 1: a folder, 0: a file, -1: something else. What cannot be looked at may be opened and say why. */
static int mls__is_folder(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0 || S_ISREG(s.st_mode)) return 0;
    return S_ISDIR(s.st_mode) ? 1 : -1;
}

/* Whether a thing in a class folder is a picture; it is told of if not. */
static int mls__is_listed(const mls_folder_desc *desc, const char *path)
{
    const char *name = mls__file_name(path);
    mls_left_out reason;
    if (name[0] == '.')
        reason = MLS_LEFT_OUT_HIDDEN;
    else if (mls__is_folder(path) != 0)
        reason = MLS_LEFT_OUT_NESTED;
    else if (!mls__is_picture(name))
        reason = MLS_LEFT_OUT_NAME;
    else
        return 1;
    mls__leave_out(desc, reason, path, 0);
    return 0;
}

/* A name that mls_data can hold, and that a line of text can show. */
static mls_status mls__name_class(mls__listing *l, const char *path)
{
    const size_t room = sizeof l->data->names[0];
    const char *name = mls__file_name(path), *fault = 0;
    if (l->data->classes == 256) fault = "over 256 classes, the next is";
    if (strlen(name) >= room) fault = "the name of a class has over 63 bytes";
    for (const char *c = name; *c; c++) {
        if (mls__is_control(*c)) fault = "the name of a class has control characters";
    }
    if (fault) return mls__file_error(l->text, l->size, MLS_ERROR_ARGUMENT, fault, path);
    mls__say(l->data->names[l->data->classes++], room, name);
    return MLS_OK;
}

/* Lists all that is in a class folder, and keeps the pictures. */
static mls_status mls__list_class(mls__listing *l, const char *path)
{
    mls__paths *p = &l->pictures;
    const size_t before = p->count;
    size_t kept = before;
    mls_status status = mls__paths_read(p, path, l->text, l->size);
    if (status != MLS_OK) return status;
    for (size_t i = before; i < p->count; i++) {
        if (mls__is_listed(l->desc, p->at[i].path)) {
            p->at[kept].path = p->at[i].path, p->at[kept++].label = l->data->classes;
        } else {
            MLS_FREE(p->at[i].path);
        }
    }
    p->count = kept;
    if (kept > before) return mls__name_class(l, path);
    mls__leave_out(l->desc, MLS_LEFT_OUT_EMPTY, path, 0);
    return MLS_OK;
}

static mls_status mls__list(mls__listing *l)
{
    mls__paths folders;
    mls_status status;
    memset(&folders, 0, sizeof folders);
    status = mls__paths_read(&folders, l->desc->path, l->text, l->size);
    for (size_t i = 0; i < folders.count && status == MLS_OK; i++) {
        const char *path = folders.at[i].path;
        if (mls__file_name(path)[0] == '.') {
            mls__leave_out(l->desc, MLS_LEFT_OUT_HIDDEN, path, 0);
        } else if (mls__is_folder(path) <= 0) {
            mls__leave_out(l->desc, MLS_LEFT_OUT_BESIDE, path, 0);
        } else {
            status = mls__list_class(l, path);
        }
    }
    mls__paths_free(&folders);
    if (status == MLS_OK && !l->pictures.count) {
        status = mls__file_error(l->text, l->size, MLS_ERROR_ARGUMENT,
                                 "no pictures in class folders of", l->desc->path);
    }
    return status;
}

/* Decodes the picture at path to the place of the n-th; the first one brings the memory. 0: it is
   bad, and reason says why, or status is not MLS_OK. */
static int mls__decode_picture(mls__listing *l, size_t n, const char *path, char *reason,
                               size_t size, mls_status *status)
{
    const mls_folder_desc *desc = l->desc;
    mls_data *data = l->data;
    int32_t h = data->h, w = data->w;
    reason[0] = 0;
    if (!data->pixels) {
        if ((!h || !w) && desc->decode(desc->user, path, &h, &w, 3, 0, reason, size) != 0) return 0;
        *status = mls__data_new(data, l->pictures.count, h, w, 3);
        if (*status != MLS_OK) {
            mls__file_error(l->text, l->size, *status,
                            *status == MLS_ERROR_MEMORY ? "no memory for all that are like"
                                                        : "too many pixels, or none, in all like",
                            path);
            return 0;
        }
    }
    return desc->decode(desc->user, path, &h, &w, 3,
                        data->pixels + n * (size_t)data->h * (size_t)data->w * 3, reason,
                        size) == 0;
}

/* text = "2 of 60 pictures cannot be decoded, the first is path: reason" */
static mls_status mls__bad_pictures(const mls__listing *l, size_t bad, size_t first,
                                    const char *reason)
{
    char counts[100] = {0};
    mls__say_int(counts, sizeof counts, (int64_t)bad);
    mls__say(counts, sizeof counts, " of ");
    mls__say_int(counts, sizeof counts, (int64_t)l->pictures.count);
    mls__say(counts, sizeof counts, " pictures cannot be decoded, the first is ");
    if (l->text && l->size) l->text[0] = 0;
    mls__say(l->text, l->size, counts);
    mls__say_path(l->text, l->size, l->pictures.at[first].path);
    if (reason[0]) mls__say(l->text, l->size, ": ");
    mls__say(l->text, l->size, reason);
    return MLS_ERROR_DATA;
}

/* Skipping must not lose a class. */
static mls_status mls__all_classes(const mls__listing *l, size_t good)
{
    uint8_t seen[256] = {0};
    for (size_t n = 0; n < good; n++) seen[l->data->labels[n]] = 1;
    for (int32_t label = 0; label < l->data->classes; label++) {
        if (seen[label]) continue;
        return mls__file_error(l->text, l->size, MLS_ERROR_DATA,
                               "no picture can be decoded of the class", l->data->names[label]);
    }
    return MLS_OK;
}

static mls_status mls__decode_pictures(mls__listing *l)
{
    const mls_folder_desc *desc = l->desc;
    size_t count = l->pictures.count, good = 0, bad = 0, first = 0;
    char reason[160], first_reason[160] = {0};
    l->data->h = desc->h, l->data->w = desc->w;
    for (size_t i = 0; i < count; i++) {
        const char *path = l->pictures.at[i].path;
        mls_status status = MLS_OK;
        if (mls__decode_picture(l, good, path, reason, sizeof reason, &status)) {
            l->data->labels[good++] = (uint8_t)l->pictures.at[i].label;
            continue;
        }
        if (status != MLS_OK) return status;
        if (!bad++) first = i, memcpy(first_reason, reason, sizeof reason);
        mls__leave_out(desc, MLS_LEFT_OUT_BAD, path, reason[0] ? reason : 0);
    }
    if (bad && !desc->skip_bad) return mls__bad_pictures(l, bad, first, first_reason);
    l->data->count = (int32_t)good;
    return mls__all_classes(l, good);
}

MLS_DEF mls_status mls_data_pictures(mls_data *data, const mls_folder_desc *desc, char *text,
                                     size_t size)
{
    mls__listing l;
    mls_status status;
    if (text && size) text[0] = 0;
    if (!data || !desc || !desc->path || !desc->decode || desc->h < 0 || desc->w < 0) {
        return MLS_ERROR_ARGUMENT;
    }
    memset(data, 0, sizeof *data);
    memset(&l, 0, sizeof l);
    l.desc = desc, l.data = data, l.text = text, l.size = size;
    status = mls__list(&l);
    if (status == MLS_OK) status = mls__decode_pictures(&l);
    mls__paths_free(&l.pictures);
    if (status != MLS_OK) mls_data_free(data);
    return status;
}

MLS_DEF mls_status mls_data_folder(mls_data *data, const char *folder, int32_t h, int32_t w,
                                   mls_decoder decode, void *user, char *text, size_t size)
{
    mls_folder_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.path = folder, desc.decode = decode, desc.h = h, desc.w = w, desc.user = user;
    return mls_data_pictures(data, &desc, text, size);
}
#endif /* MLS__FOLDERS */
#undef MLS__POSIX
#undef MLS__WINDOWS
#undef MLS__FOLDERS
#endif /* MLS_NO_STDIO */
#endif /* MLS_NO_MALLOC */

/* Each header takes away what only it uses, this one what mls.h defines for all three. */
#undef MLS__OMP
#undef MLS__THREADS
#undef MLS__THREAD
#undef MLS__INLINE
#undef MLS__UNROLL
#undef MLS__ISA_SCALAR
#undef MLS__ISA_SSE41
#undef MLS__ISA_AVX2
#undef MLS__ISA_AVXVNNI
#undef MLS__ISA_AVX512VNNI
#undef MLS__ISA_AMX
#undef MLS__ISA_NEON
#undef MLS__ISA_DOTPROD
#undef MLS__X86
#undef MLS__NEON
#undef MLS__HAS_AVXVNNI
#undef MLS__HAS_AMX
#undef MLS__UNITS_AVXVNNI
#undef MLS__UNITS_AMX
#undef MLS__UNITS
#undef MLS__TARGET_DOTPROD

#endif /* MLS__TRAIN_IMPLEMENTED */
#endif /* MLS_IMPLEMENTATION */

/* ------------------------------------------------------------------------------- >>template
   The fp32 layers, for every vector unit including the scalar one. Channels lie in the lanes:
   every channel is a chain of its own, whatever the vector length. */
#else

/* Doubles, half as many a vector, so that both fill the same register. */
#if MLS__LANES > 1
enum {
    MLS__FN(mls__pairs) = MLS__LANES / 2
};
typedef double MLS__FN(mls__d) __attribute__((vector_size(4 * MLS__LANES)));
typedef float MLS__FN(mls__half) __attribute__((vector_size(2 * MLS__LANES)));
#else
enum {
    MLS__FN(mls__pairs) = 1
};
typedef double MLS__FN(mls__d);
typedef float MLS__FN(mls__half);
#endif

/* The first n of MLS__LANES / 2 floats. */
MLS__INLINE MLS__TARGET MLS__FN(mls__half) MLS__FN(mls__load_half)(const float *p, size_t n)
{
    float some[MLS__FN(mls__pairs)] = {0};
    MLS__FN(mls__half) v;
    if (n < MLS__FN(mls__pairs)) {
        memcpy(some, p, n * sizeof(float));
        p = some;
    }
    memcpy(&v, p, sizeof v);
    return v;
}

MLS__INLINE MLS__TARGET MLS__FN(mls__d) MLS__FN(mls__to_d)(MLS__FN(mls__half) v)
{
#if MLS__LANES > 1
    return __builtin_convertvector(v, MLS__FN(mls__d));
#else
    return (double)v;
#endif
}

MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__load_some)(const float *p, size_t n)
{
    return n >= MLS__LANES ? MLS__LOAD(p) : MLS__LOAD_N(p, n);
}

MLS__INLINE MLS__TARGET void MLS__FN(mls__store_some)(float *p, MLS__F v, size_t n)
{
    if (n >= MLS__LANES)
        MLS__STORE(p, v);
    else
        MLS__STORE_N(p, v, n);
}

/* Asks for what comes two pages later: what fetches ahead by itself stops at the end of each. */
#if MLS__LANES > 1
#define MLS__PREFETCH(p) __builtin_prefetch((p) + 2048)
#else
#define MLS__PREFETCH(p) (void)(p)
#endif

/* Sums over the pixels, for each channel: of dy, and of dy * (x - mean); mean null: of x, and of x * x. */
MLS__INLINE MLS__TARGET void MLS__FN(mls__sums)(const float *dy, const float *x, size_t pixels,
                                                size_t c, const float *mean, double *sum,
                                                double *product)
{
    enum {
        MLS__STEP = MLS__FN(mls__pairs),
        MLS__AT_ONCE = 4
    };
    for (size_t c0 = 0; c0 < c; c0 += (size_t)MLS__STEP * MLS__AT_ONCE) {
        size_t some =
            c - c0 < (size_t)MLS__STEP * MLS__AT_ONCE ? c - c0 : (size_t)MLS__STEP * MLS__AT_ONCE;
        MLS__FN(mls__d) s[MLS__AT_ONCE], q[MLS__AT_ONCE];
        MLS__FN(mls__half) centre[MLS__AT_ONCE];
        memset(s, 0, sizeof s);
        memset(q, 0, sizeof q);
        memset(centre, 0, sizeof centre);
        for (size_t j = 0; mean && j < MLS__AT_ONCE && c0 + j * MLS__STEP < c; j++) {
            size_t at = c0 + j * MLS__STEP;
            centre[j] = MLS__FN(mls__load_half)(mean + at, c - at);
        }
        for (size_t p = 0; p < pixels; p++) {
            MLS__UNROLL
            for (size_t j = 0; j < MLS__AT_ONCE; j++) {
                size_t at = c0 + j * MLS__STEP;
                MLS__FN(mls__half) v;
                MLS__FN(mls__d) g;
                if (at >= c) continue;
                if (mean) MLS__PREFETCH(x + p * c + at), MLS__PREFETCH(dy + p * c + at);
                /* x - mean rounds to float, so that the product with dy is exact in double */
                v = MLS__FN(mls__load_half)(x + p * c + at, c - at);
                g = MLS__FN(mls__to_d)(v);
                if (mean) {
                    v = v - centre[j];
                    g = MLS__FN(mls__to_d)(MLS__FN(mls__load_half)(dy + p * c + at, c - at));
                }
                s[j] += g;
                q[j] += g * MLS__FN(mls__to_d)(v);
            }
        }
        memcpy(sum + c0, s, some * sizeof(double));
        memcpy(product + c0, q, some * sizeof(double));
    }
}

static MLS__TARGET void MLS__FN(mls__bn_stats)(const float *x, size_t pixels, size_t c, double *sum,
                                               double *square)
{
    MLS__FN(mls__sums)(0, x, pixels, c, 0, sum, square);
}

/* Whole numbers that order as floats do, and back. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__ordered)(MLS__I bits)
{
    return bits ^ (bits >> 31 & MLS__SETI(0x7fffffff));
}

static MLS__TARGET void MLS__FN(mls__bn_ends)(const float *x, size_t pixels, size_t c, float *ends)
{
    for (size_t c0 = 0; c0 < c; c0 += MLS__LANES) {
        MLS__I least = MLS__SETI(INT32_MAX), most = MLS__SETI(INT32_MIN);
        for (size_t p = 0; p < pixels; p++) {
            MLS__F v = MLS__FN(mls__load_some)(x + p * c + c0, c - c0);
            MLS__I order = MLS__FN(mls__ordered)(MLS__BITS(v));
            least = MLS__MINI(least, order), most = MLS__MAXI(most, order);
        }
        least = MLS__FN(mls__ordered)(least), most = MLS__FN(mls__ordered)(most);
        MLS__FN(mls__store_some)(ends + c0, MLS__FLOAT(least), c - c0);
        MLS__FN(mls__store_some)(ends + c + c0, MLS__FLOAT(most), c - c0);
    }
}

static MLS__TARGET void MLS__FN(mls__bn_reduce)(const float *dy, const float *x, size_t pixels,
                                                size_t c, const float *mean, double *sum,
                                                double *product)
{
    MLS__FN(mls__sums)(dy, x, pixels, c, mean, sum, product);
}

static MLS__TARGET void MLS__FN(mls__bn_scale)(const float *x, size_t pixels, size_t c,
                                               const float *scale, const float *shift, float *y)
{
    for (size_t c0 = 0; c0 < c; c0 += MLS__LANES) {
        size_t n = c - c0;
        MLS__F a = MLS__FN(mls__load_some)(scale + c0, n),
               b = MLS__FN(mls__load_some)(shift + c0, n);
        for (size_t p = 0; p < pixels; p++) {
            MLS__F v = MLS__FN(mls__load_some)(x + p * c + c0, n);
            MLS__PREFETCH(x + p * c + c0);
            MLS__PREFETCH(y + p * c + c0);
            MLS__FN(mls__store_some)(y + p * c + c0, MLS__FMA(v, a, b), n);
        }
    }
}

static MLS__TARGET void MLS__FN(mls__bn_back)(const float *dy, const float *x, size_t pixels,
                                              size_t c, const float *a, const float *b,
                                              const float *d, float *dx)
{
    for (size_t c0 = 0; c0 < c; c0 += MLS__LANES) {
        size_t n = c - c0;
        MLS__F av = MLS__FN(mls__load_some)(a + c0, n), bv = MLS__FN(mls__load_some)(b + c0, n);
        MLS__F dv = MLS__FN(mls__load_some)(d + c0, n);
        for (size_t p = 0; p < pixels; p++) {
            MLS__F g = MLS__FN(mls__load_some)(dy + p * c + c0, n);
            MLS__F v = MLS__FN(mls__load_some)(x + p * c + c0, n);
            MLS__PREFETCH(x + p * c + c0);
            MLS__PREFETCH(dy + p * c + c0);
            MLS__FN(mls__store_some)(dx + p * c + c0, MLS__FMA(g, av, MLS__FMA(v, bv, dv)), n);
        }
    }
}

/* Bit i of the result: lane i of x is above zero, or a NaN. */
MLS__INLINE MLS__TARGET uint32_t MLS__FN(mls__kept)(MLS__F x)
{
#if MLS__LANES == 16
    return _mm512_cmp_ps_mask((__m512)x, _mm512_setzero_ps(), _CMP_NLE_UQ);
#elif MLS__LANES == 8
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)x, _mm256_setzero_ps(), _CMP_NLE_UQ));
#elif MLS__UNIT == MLS__ISA_SSE41
    return (uint32_t)_mm_movemask_ps(_mm_cmpnle_ps((__m128)x, _mm_setzero_ps()));
#elif MLS__LANES == 4
    const uint32_t bits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vbicq_u32(vld1q_u32(bits), vclezq_f32((float32x4_t)x)));
#else
    return !(x <= 0);
#endif
}

/* x where the bit is set, else 0. */
MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__keep)(MLS__F x, uint32_t bits)
{
#if MLS__LANES == 16
    return (MLS__F)_mm512_maskz_mov_ps((__mmask16)bits, (__m512)x);
#elif MLS__LANES > 1
    MLS__I lane, zero = MLS__SETI(0);
    for (int j = 0; j < MLS__LANES; j++) lane[j] = 1 << j;
    return MLS__FLOAT(MLS__WHERE(MLS__SETI((int32_t)bits) & lane, MLS__BITS(x), zero));
#else
    return bits & 1 ? x : 0;
#endif
}

static MLS__TARGET void MLS__FN(mls__relu)(const float *x, size_t count, float *y, uint8_t *mask)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        uint32_t bits = 0;
        for (int j = 0; j < 16; j += MLS__LANES) {
            MLS__F v = MLS__LOAD(x + i + j);
            uint32_t some = MLS__FN(mls__kept)(v);
            MLS__STORE(y + i + j, MLS__FN(mls__keep)(v, some));
            bits |= some << j;
        }
        mask[i / 8] = (uint8_t)bits, mask[i / 8 + 1] = (uint8_t)(bits >> 8);
    }
    for (; i < count; i++) {
        int keep = !(x[i] <= 0);
        if (i % 8 == 0) mask[i / 8] = 0;
        mask[i / 8] = (uint8_t)(mask[i / 8] | keep << i % 8);
        y[i] = keep ? x[i] : 0;
    }
}

static MLS__TARGET void MLS__FN(mls__relu_back)(const float *dy, size_t count, const uint8_t *mask,
                                                float *dx)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        uint32_t bits = mask[i / 8] | (uint32_t)mask[i / 8 + 1] << 8;
        for (int j = 0; j < 16; j += MLS__LANES) {
            MLS__STORE(dx + i + j, MLS__FN(mls__keep)(MLS__LOAD(dy + i + j), bits >> j));
        }
    }
    for (; i < count; i++) dx[i] = mask[i / 8] >> i % 8 & 1 ? dy[i] : 0;
}

static MLS__TARGET void MLS__FN(mls__add)(const float *a, const float *b, size_t count, float *y)
{
    size_t i = 0;
    for (; i + MLS__LANES <= count; i += MLS__LANES)
        MLS__STORE(y + i, MLS__LOAD(a + i) + MLS__LOAD(b + i));
    for (; i < count; i++) y[i] = a[i] + b[i];
}

/* Integers in the order of the floats: both zeros are 0, every NaN is the largest. */
MLS__INLINE MLS__TARGET MLS__I MLS__FN(mls__order)(MLS__F x)
{
    const MLS__I bits = MLS__BITS(x), size = bits & 0x7fffffff, sign = bits >> 31;
    return MLS__WHERE(size - 0x7f800000, MLS__SETI(0x7fffffff), (size ^ sign) - sign);
}

static MLS__TARGET void MLS__FN(mls__max_pool)(const float *x, size_t first, size_t h, size_t w,
                                               size_t row, size_t c, float *y, uint32_t *place)
{
    for (size_t ch = 0; ch < c; ch += MLS__LANES) {
        const size_t n = c - ch;
        const float *from = x + first + ch;
        int32_t offset[MLS__LANES];
        MLS__I best = MLS__BITS(MLS__FN(mls__load_some)(from, n)), at = MLS__SETI(0);
        MLS__I order = MLS__FN(mls__order)(MLS__FLOAT(best));
        for (size_t iy = 0; iy < h; iy++)
            for (size_t ix = 0; ix < w; ix++) {
                const size_t here = iy * row + ix * c;
                const MLS__F v = MLS__FN(mls__load_some)(from + here, n);
                const MLS__I o = MLS__FN(mls__order)(v);
                best = MLS__FN(mls__where_above)(o, order, MLS__BITS(v), best);
                at = MLS__FN(mls__where_above)(o, order, MLS__SETI((int32_t)(uint32_t)here), at);
                order = MLS__MAXI(o, order);
            }
        MLS__FN(mls__store_some)(y + ch, MLS__FLOAT(best), n);
        memcpy(offset, &at, sizeof at);
        for (size_t lane = 0; place && lane < MLS__LANES && lane < n; lane++)
            place[ch + lane] = (uint32_t)(first + ch + lane) + (uint32_t)offset[lane];
    }
}

/* e^x for x <= 0; about one unit in the last place. */
MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__exp)(MLS__F x)
{
    const MLS__I size = MLS__BITS(x) & 0x7fffffff;
    const MLS__I inside = MLS__SETI(0x42ae0000) - size; /* x is above -87; below it is 0 */
    const MLS__F t = MLS__FLOAT(MLS__WHERE(inside, MLS__BITS(x), MLS__SETI(0)));
    const MLS__F large = MLS__SET(12582912.0f), one = MLS__SET(1);
    const MLS__F n = MLS__FMA(t, MLS__SET(1.44269504f), large) - large;
    MLS__F r = MLS__FMA(n, MLS__SET(-0.693359375f), t), p = MLS__SET(1.0f / 5040);
    r = MLS__FMA(n, MLS__SET(2.12194440e-4f), r); /* ln 2 in two parts */
    p = MLS__FMA(p, r, MLS__SET(1.0f / 720));
    p = MLS__FMA(p, r, MLS__SET(1.0f / 120));
    p = MLS__FMA(p, r, MLS__SET(1.0f / 24));
    p = MLS__FMA(p, r, MLS__SET(1.0f / 6));
    p = MLS__FMA(p, r, MLS__SET(0.5f));
    p = MLS__FMA(MLS__FMA(p, r, one), r, one);
    p = p * MLS__FLOAT((MLS__TO_INT(n) + 127) << 23);
    /* what is not a number stays that */
    x = MLS__FLOAT(MLS__WHERE(size - 0x7f800000, MLS__BITS(x), MLS__SETI(0)));
    return MLS__FLOAT(MLS__WHERE(inside, MLS__BITS(p), MLS__BITS(x)));
}

/* if_yes where x > 0, else if_no. */
MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__if_positive)(MLS__F x, MLS__F if_yes, MLS__F if_no)
{
    return MLS__FLOAT(MLS__WHERE(MLS__BITS(x), MLS__BITS(if_yes), MLS__BITS(if_no)));
}

/* Each activation: y of x, and its slope. */
MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__leaky_relu_y)(MLS__F x, float amount)
{
    return MLS__FN(mls__if_positive)(x, x, x * MLS__SET(amount));
}

MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__leaky_relu_slope)(MLS__F y, float amount)
{
    return MLS__FN(mls__if_positive)(y, MLS__SET(1), MLS__SET(amount));
}

MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__sigmoid_y)(MLS__F x, float amount)
{
    const MLS__F e = MLS__FN(mls__exp)(MLS__FLOAT(MLS__BITS(x) | INT32_MIN)), one = MLS__SET(1);
    (void)amount;
    return MLS__FN(mls__if_positive)(x, one, e) / (one + e);
}

MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__sigmoid_slope)(MLS__F y, float amount)
{
    (void)amount;
    return MLS__FMA(-y, y, y);
}

/* The share of a normal distribution below x; e: e^(-x^2 / 2). Abramowitz and Stegun 7.1.26, of the tail,
   which is a product. */
MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__normal_below)(MLS__F x, MLS__F *e)
{
    const MLS__F size = MLS__FLOAT(MLS__BITS(x) & 0x7fffffff), one = MLS__SET(1);
    const MLS__F t = one / MLS__FMA(size, MLS__SET(0.3275911f * 0.70710678f), one);
    MLS__F p = MLS__SET(0.5f * 1.061405429f);
    p = MLS__FMA(p, t, MLS__SET(0.5f * -1.453152027f));
    p = MLS__FMA(p, t, MLS__SET(0.5f * 1.421413741f));
    p = MLS__FMA(p, t, MLS__SET(0.5f * -0.284496736f));
    p = MLS__FMA(p, t, MLS__SET(0.5f * 0.254829592f)) * t;
    *e = MLS__FN(mls__exp)(x * x * MLS__SET(-0.5f));
    return MLS__FN(mls__if_positive)(x, MLS__FMA(-p, *e, one), p * *e);
}

MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__gelu_y)(MLS__F x, float amount)
{
    MLS__F e;
    (void)amount;
    return x * MLS__FN(mls__normal_below)(x, &e);
}

MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__gelu_slope)(MLS__F x, float amount)
{
    MLS__F e, below = MLS__FN(mls__normal_below)(x, &e);
    (void)amount;
    return MLS__FMA(x * MLS__SET(0.39894228f), e, below);
}

#define MLS__ACTIVATION(name)                                                                      \
    static MLS__TARGET void MLS__FN(name)(const float *x, size_t count, float amount, float *y)    \
    {                                                                                              \
        for (size_t i = 0; i < count; i += MLS__LANES) {                                           \
            MLS__F v = MLS__FN(mls__load_some)(x + i, count - i);                                  \
            MLS__FN(mls__store_some)(y + i, MLS__FN(name##_y)(v, amount), count - i);              \
        }                                                                                          \
    }                                                                                              \
    static MLS__TARGET void MLS__FN(name##_back)(const float *dy, const float *from, size_t count, \
                                                 float amount, float *dx)                          \
    {                                                                                              \
        for (size_t i = 0; i < count; i += MLS__LANES) {                                           \
            MLS__F v = MLS__FN(mls__load_some)(from + i, count - i);                               \
            v = MLS__FN(name##_slope)(v, amount) * MLS__FN(mls__load_some)(dy + i, count - i);     \
            MLS__FN(mls__store_some)(dx + i, v, count - i);                                        \
        }                                                                                          \
    }
MLS__ACTIVATION(mls__leaky_relu)
MLS__ACTIVATION(mls__sigmoid)
MLS__ACTIVATION(mls__gelu)
#undef MLS__ACTIVATION

static MLS__TARGET void MLS__FN(mls__dropout)(const float *x, size_t count, mls__keys keys,
                                              int32_t dropped, float scale, float *y)
{
    for (size_t i = 0; i < count; i += MLS__LANES) {
        MLS__F v = MLS__FN(mls__load_some)(x + i, count - i) * MLS__SET(scale);
        int32_t kept[MLS__LANES];
        MLS__I where;
        for (size_t j = 0; j < MLS__LANES; j++) { /* mls_random16 */
            const uint32_t both = mls__random32(keys, (uint32_t)((i + j) / 2));
            kept[j] = (int32_t)((i + j) % 2 ? both >> 16 : both & 0xffffu) - dropped + 1;
        }
        memcpy(&where, kept, sizeof where);
        v = MLS__FLOAT(MLS__WHERE(where, MLS__BITS(v), MLS__SETI(0)));
        MLS__FN(mls__store_some)(y + i, v, count - i);
    }
}

/* Clears the gradient on the way. */
static MLS__TARGET void MLS__FN(mls__sgd)(float *w, float *g, float *v, size_t count, float share,
                                          const mls_sgd *s)
{
    MLS__F zero = MLS__SET(0);
    for (size_t i = 0; i < count; i += MLS__LANES) { /* counts are multiples of 16 */
        MLS__F wv = MLS__LOAD(w + i), vv = MLS__LOAD(v + i),
               gv = MLS__LOAD(g + i) * MLS__SET(share);
        gv = MLS__FMA(MLS__SET(s->decay), wv, gv);
        vv = MLS__FMA(MLS__SET(s->momentum), vv, gv);
        MLS__STORE(v + i, vv);
        if (s->nesterov) vv = MLS__FMA(MLS__SET(s->momentum), vv, gv);
        MLS__STORE(w + i, MLS__FMA(MLS__SET(-s->rate), vv, wv));
        MLS__STORE(g + i, zero);
    }
}

/* sqrt(x) + more, x >= 0, within a few units in the last place: Newton's steps towards 1 / sqrt(x), from a
   first guess that halves the exponent. */
MLS__INLINE MLS__TARGET MLS__F MLS__FN(mls__root_plus)(MLS__F x, MLS__F more)
{
    const MLS__F half = x * MLS__SET(-0.5f);
    MLS__F y = MLS__FLOAT(MLS__SETI(0x5f3759df) - (MLS__BITS(x) >> MLS__SETI(1)));
    for (int i = 0; i < 3; i++) y = y * MLS__FMA(half * y, y, MLS__SET(1.5f));
    return MLS__FMA(x, y, more);
}

/* Clears the gradient on the way. Both corrections of the moments are in the rate and in epsilon. */
static MLS__TARGET void MLS__FN(mls__adamw)(float *w, float *g, float *m, float *v, size_t count,
                                            const mls__update *u)
{
    const MLS__F decay = MLS__SET(-(u->sgd.rate * u->sgd.decay)), zero = MLS__SET(0);
    const MLS__F rate = MLS__SET(-(u->sgd.rate * (u->second / u->first)));
    const MLS__F epsilon = MLS__SET(u->epsilon * u->second);
    for (size_t i = 0; i < count; i += MLS__LANES) { /* counts are multiples of 16 */
        const MLS__F gv = MLS__LOAD(g + i) * MLS__SET(u->share), wv = MLS__LOAD(w + i);
        const MLS__F fresh = gv * MLS__SET(1 - u->sgd.momentum);
        const MLS__F square = (gv * gv) * MLS__SET(1 - u->beta2);
        const MLS__F mv = MLS__FMA(MLS__SET(u->sgd.momentum), MLS__LOAD(m + i), fresh);
        const MLS__F vv = MLS__FMA(MLS__SET(u->beta2), MLS__LOAD(v + i), square);
        const MLS__F move = mv / MLS__FN(mls__root_plus)(vv, epsilon);
        MLS__STORE(m + i, mv);
        MLS__STORE(v + i, vv);
        MLS__STORE(w + i, MLS__FMA(rate, move, MLS__FMA(decay, wv, wv)));
        MLS__STORE(g + i, zero);
    }
}

static MLS__TARGET void MLS__FN(mls__average)(float *a, const float *x, size_t count, float fresh)
{
    for (size_t i = 0; i < count; i += MLS__LANES) { /* counts are multiples of 16 */
        const MLS__F av = MLS__LOAD(a + i);
        MLS__STORE(a + i, MLS__FMA(MLS__SET(fresh), MLS__LOAD(x + i) - av, av));
    }
}

#undef MLS__PREFETCH
#endif /* template */
