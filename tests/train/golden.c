/* A training has the same losses and weights, bit for bit, in every format, by every kernel and with
   any number of threads. */

typedef struct golden {
    const char *w, *a, *e;
    int option_a;
    uint32_t loss[10]; /* as floats, by their bits */
    uint64_t digest;   /* after the last step */
} golden;

#define LOW20 "2,1:nc:2,0"
#define LOW31 "2,1:nc:3,1"
#define LOW81 "2,4:nc:8,1"
#define NONE4 "0,4:none"
#define UP    ":stochastic"
#define FP    "fp32"

/* clang-format off */
/* ResNet-8 of width 8 on 16 x 16 pictures, eight a step */
static const golden golden_wide[] = {
    {FP, FP, FP, 0,
     {0x4011de43u, 0x40124f23u, 0x401891a1u, 0x4019c630u, 0x401bf59du,
      0x401cdd4au, 0x401b232bu, 0x402ab6d7u, 0x4023635eu, 0x401e6f33u},
     0x630dbeb1b6a7b354u},
    {LOW20, LOW20, LOW20 UP, 0,
     {0x40138954u, 0x4013e6c0u, 0x401641e1u, 0x4019d049u, 0x401b29f6u,
      0x401b869cu, 0x401d318fu, 0x4026bfdbu, 0x401dd843u, 0x4019c75eu},
     0x7a78f7d006a3c129u},
    {LOW31, LOW31, LOW31 UP, 0,
     {0x40120abbu, 0x40161563u, 0x4016e43eu, 0x40185208u, 0x401ac36bu,
      0x401d52ebu, 0x40191d4bu, 0x4025edf1u, 0x40209536u, 0x401dcbf4u},
     0x7867b8f352c75919u},
    {LOW81, LOW81, LOW81 UP, 0,
     {0x4011a8a8u, 0x4012702au, 0x4018ad85u, 0x40197eaau, 0x401b0288u,
      0x401cd0f9u, 0x401b3a1eu, 0x402e7015u, 0x401e7b5cu, 0x401e1c75u},
     0x07b4d554f966dbb5u},
    {NONE4, NONE4, NONE4 UP, 1,
     {0x4012486fu, 0x401a1a6cu, 0x4016a25au, 0x4020b2f2u, 0x401b7c2fu,
      0x401e06a1u, 0x40259e81u, 0x4025e309u, 0x4035b485u, 0x40314c16u},
     0x27ed7ad3b381586bu},
    {LOW20, FP, LOW20 UP, 0,
     {0x40133510u, 0x4012a7ecu, 0x4015ff07u, 0x401bf9feu, 0x401af1d8u,
      0x401b768cu, 0x401c3217u, 0x4028adc2u, 0x40221519u, 0x40217a52u},
     0x0b46475d0f6e6b3du},
    {FP, "2,4:nc:3,1", "2,1:c:1,1:clipped:paper", 1,
     {0x401210bcu, 0x401b6130u, 0x4016e5bdu, 0x40214280u, 0x401aad5cu,
      0x401e4556u, 0x4023a404u, 0x4027d6a1u, 0x4030655du, 0x402eb2b6u},
     0x3164ae77be431546u},
};
/* width 4 on 8 x 8 pictures, three a step: small enough for the reference */
static const golden golden_tiny[] = {
    {FP, FP, FP, 0,
     {0x4019d387u, 0x3fee8d7bu, 0x40240909u, 0x403d2e1fu, 0x40324737u,
      0x404d70e5u, 0x40179cd4u, 0x3ffda157u, 0x403a1253u, 0x400da96eu},
     0xa1780676a03284fau},
    {LOW20, LOW20, LOW20 UP, 0,
     {0x401dd4f2u, 0x3ff2557cu, 0x4019754eu, 0x4037fe80u, 0x402e5458u,
      0x404556e9u, 0x401e5d46u, 0x400ad0cfu, 0x40337a4du, 0x3ff09e4eu},
     0xdd33c6a654c51942u},
    {LOW31, LOW31, LOW31 UP, 1,
     {0x401c6608u, 0x3ffa70f3u, 0x40311a62u, 0x40305fb7u, 0x4043a296u,
      0x403a17b0u, 0x400f9a97u, 0x400f1f5eu, 0x4030d52eu, 0x4011cf8cu},
     0xfa9552a599a30005u},
    {LOW81, LOW81, LOW81 UP, 0,
     {0x401a1fdeu, 0x3fecaf76u, 0x4023ba65u, 0x403d4351u, 0x402d651bu,
      0x404ba588u, 0x401a24c2u, 0x3ffd3093u, 0x4032b8fau, 0x3ff0a6b8u},
     0x0028f4d648c37be8u},
    {NONE4, NONE4, NONE4 UP, 0,
     {0x4019b2a7u, 0x3ff546dcu, 0x401f2169u, 0x40460929u, 0x4038ac82u,
      0x404955d9u, 0x4016bfe8u, 0x4002d285u, 0x4044b1ddu, 0x40079c5eu},
     0x4c3ed84f1c0ab06bu},
    {LOW20, FP, LOW20 UP, 0,
     {0x401cbc31u, 0x3fefc288u, 0x401ec690u, 0x403c6662u, 0x40374779u,
      0x4041b154u, 0x40226959u, 0x400b1516u, 0x402a2a54u, 0x4006a802u},
     0xc725823fa86d4b74u},
    {"5,2:n:8,1", "4,3:c:5,0", "5,6:nc:4,1:stochastic", 0,
     {0x401c760au, 0x3fee6546u, 0x402271f9u, 0x404188e2u, 0x402f2201u,
      0x404b2c53u, 0x4012cd82u, 0x3ff510e9u, 0x403a5554u, 0x4008000cu},
     0x185929bf6df22280u},
};
/* clang-format on */

/* conv-bn-relu, three stages of one block, pool, linear; pictures 32 x 32 x 3. */
static void build_resnet8(mls_net *net, int32_t width, int32_t shrink, int option_a)
{
    int32_t x = mls_net_input(net, 32, 32, 3);
    mls_conv_desc conv;
    memset(&conv, 0, sizeof conv);
    x = mls_net_subsample(net, x, shrink, 3);
    conv.c_out = width, conv.kh = 3, conv.pad = 1;
    x = mls_net_relu(net, mls_net_batch_norm(net, mls_net_conv(net, x, &conv)));
    for (int32_t stage = 0; stage < 3; stage++) {
        int32_t c = width << stage, stride = stage ? 2 : 1, y, side = x;
        conv.c_out = c, conv.kh = 3, conv.pad = 1, conv.stride = stride;
        y = mls_net_relu(net, mls_net_batch_norm(net, mls_net_conv(net, x, &conv)));
        conv.stride = 1;
        y = mls_net_batch_norm(net, mls_net_conv(net, y, &conv));
        if (stage && option_a) side = mls_net_subsample(net, x, stride, c);
        if (stage && !option_a) {
            conv.kh = 1, conv.pad = 0, conv.stride = stride;
            side = mls_net_batch_norm(net, mls_net_conv(net, x, &conv));
        }
        x = mls_net_relu(net, mls_net_add(net, y, side));
    }
    mls_net_loss(net, mls_net_linear(net, mls_net_global_pool(net, x), 10));
}

static mls_data golden_data;

static void golden_data_make(void)
{
    static uint8_t pixels[80 * 3072], labels[80];
    golden_data.pixels = pixels, golden_data.labels = labels;
    T_EQ_INT(mls_data_synthetic(&golden_data, 80, 5, 0), MLS_OK);
}

/* Trains for some steps; losses by their bits. */
static uint64_t golden_run(const golden *g, int width, int shrink, int batch, int steps,
                           uint32_t *losses)
{
    mls_net_desc desc = desc_of(batch, g->w, g->a, g->e);
    mls_augment augment;
    static rig r;
    uint64_t digest;
    memset(&augment, 0, sizeof augment);
    memset(losses, 0, 10 * sizeof *losses);
    augment.crop = 4, augment.flip = augment.shuffle = 1;
    threads(thread_count);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    build_resnet8(&r.net, width, shrink, g->option_a);
    if (mls_net_plan(&r.net, &r.plan) != MLS_OK) {
        t_fail(__FILE__, __LINE__, "%s", r.net.text);
        return 0;
    }
    r.arena = t_alloc(r.plan.arena);
    T_EQ_INT(mls_net_bind(&r.net, r.arena, r.plan.arena), MLS_OK);
    for (int i = 0; i < steps; i++) {
        mls_result result = {0, 0, 0};
        float loss;
        T_EQ_INT(mls_data_batch(&golden_data, &augment, 1, 0, (int64_t)i * batch, batch,
                                some_images, some_labels),
                 MLS_OK);
        T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, batch, &plain_sgd, &result),
                 MLS_OK);
        loss = (float)result.loss;
        memcpy(&losses[i], &loss, sizeof loss);
    }
    digest = mls_net_digest(&r.net);
    rig_free(&r);
    return digest;
}

static void golden_check(const golden *g, int width, int shrink, int batch, int steps)
{
    uint32_t losses[10];
    uint64_t digest = golden_run(g, width, shrink, batch, steps, losses);
    if (memcmp(losses, g->loss, (size_t)steps * sizeof losses[0]) == 0 &&
        (steps < 10 || digest == g->digest)) {
        return;
    }
    t_fail(__FILE__, __LINE__,
           "%s %s %s %d, the golden training is not repeated. New values:", g->w, g->a, g->e,
           g->option_a);
    printf("\n/*NEW %d*/ {", width);
    for (int i = 0; i < 10; i++) printf("0x%08xu%s", (unsigned)losses[i], i < 9 ? ", " : "}, ");
    printf("0x%016llxu", (unsigned long long)digest);
}

static void golden_trainings(void)
{
    int kernels = mls_kernel_count();
    golden_data_make();
    for (size_t i = 0; i < sizeof golden_wide / sizeof golden_wide[0]; i++) {
        for (int kernel = kernels - 1; kernel >= 1; kernel--) {
            int best = kernel + 1 == kernels; /* the others on one thread: see the next test */
            if (T_SLOW && !best) continue;
            for (int count = 1; count <= (best ? 4 : 1); count *= 2) {
                if (count == 2 && (T_SLOW || i % 4 != 1)) continue;
                T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
                threads(count);
                t_note("%s, %d threads", mls_kernel_used(), count);
                golden_check(&golden_wide[i], 8, 2, 8, 10);
            }
        }
        if (kernels == 1) { /* only the reference: a part of it */
            threads(1);
            golden_check(&golden_wide[i], 8, 2, 8, T_SLOW ? 1 : 2);
        }
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

static void golden_trainings_of_every_kernel(void)
{
    golden_data_make();
    for (size_t i = 0; i < sizeof golden_tiny / sizeof golden_tiny[0]; i++) {
        if (!WIDE_SUMS && golden_tiny[i].w[0] == '5') continue;
        for (int kernel = mls_kernel_count() - 1; kernel >= 0; kernel--) {
            for (int count = 1; count <= 4; count *= 2) {
                if (count == 2 && (T_SLOW || i % 4 != 1 || kernel + 1 < mls_kernel_count()))
                    continue;
                T_EQ_INT(mls_kernel_use(mls_kernel_name(kernel)), MLS_OK);
                threads(count);
                t_note("%s, %d threads", mls_kernel_used(), count);
                golden_check(&golden_tiny[i], 4, 4, 3, T_SLOW && kernel == 0 ? 4 : 10);
            }
        }
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* A host with fewer vector units plans less memory: there, too, it is enough for what auto takes. */
static void golden_trainings_of_lesser_hosts(void)
{
    const unsigned all = (mls__unit_here(0), mls__units_found);
    golden_data_make();
    for (int best = MLS__UNIT_COUNT - 1; best >= 0; best--) {
        if (!(all >> best & 1)) continue;
        mls__units_found = all & ((2u << best) - 1), mls__unit_chosen = 0;
        T_CHECK(strcmp(mls_kernel_used(), mls__unit_names[best]) == 0);
        for (size_t i = 0; i < sizeof golden_tiny / sizeof golden_tiny[0]; i += T_SLOW ? 4 : 1) {
            if (!WIDE_SUMS && golden_tiny[i].w[0] == '5') continue;
            threads(1 + (int)i % 3);
            t_note("nothing above %s, %d threads", mls_kernel_used(), thread_count);
            golden_check(&golden_tiny[i], 4, 4, 3, best ? 10 : 2);
            if (best && !T_SLOW) golden_check(&golden_wide[i], 8, 2, 8, 3);
        }
    }
    mls__units_found = all, mls__unit_chosen = 0;
    threads(1);
}

/* More threads than blocks of images, and than images. */
static void trainings_of_many_threads(void)
{
    static const int counts[] = {9, 12, 16, 64};
    golden_data_make();
    for (size_t i = 0; i < sizeof golden_tiny / sizeof golden_tiny[0]; i += T_SLOW ? 4 : 1) {
        uint32_t losses[10], same[10];
        uint64_t digest;
        if (!WIDE_SUMS && golden_tiny[i].w[0] == '5') continue;
        threads(1);
        digest = golden_run(&golden_tiny[i], 4, 4, 16, 3, losses);
        for (int j = 0; j < 4; j++) {
            threads(counts[j]);
            t_note("%s, %d threads", golden_tiny[i].w, counts[j]);
            T_CHECK(golden_run(&golden_tiny[i], 4, 4, 16, 3, same) == digest);
            T_EQ_MEM(same, losses, sizeof losses);
        }
    }
    threads(1);
}

#define GOLDEN_TESTS                                                    \
    T_TEST(golden_trainings), T_TEST(golden_trainings_of_every_kernel), \
        T_TEST(golden_trainings_of_lesser_hosts), T_TEST(trainings_of_many_threads)
