/* A network for inference alone has the logits of the one that was trained, bit for bit, in less memory;
   what trains is refused. */

typedef struct kind_of_net {
    const char *text;
    int image, classes;
} kind_of_net;
static const kind_of_net inferred[] = {
    {small_net, SMALL_IMAGE, 10},
    {odd_net, 5 * 7 * 3, 10},
    {"i6 6 4|d0 8 3 3 1 1 1 1 4 1 1 1 1|n1|p2|o3|f4|t5|c6 8 1 1 0 1|x6 7|k8 5|m9 2 2 0|l10 4|z11",
     6 * 6 * 4, 4},
    {"i6 6 2|c0 4 3 1 1|n1|s2 2 6|v3 3 1 1|g4|l5 3|e6", 6 * 6 * 2, 3}};
static const char *const inferred_formats[] = {"fp32",
                                               "2,1:nc:2,0",
                                               "2,1:nc:8,1",
                                               "w=2,4:nc:2,1 a=2,4:nc:2,1 e=fp32",
                                               "w=2,1:nc:2,0 a=fp32 e=2,1:nc:2,0",
                                               "w=fp32 a=2,1:nc:2,0 e=fp32",
                                               "w=2,1 a=2,1 e=2,1 w.data=2,4 a.weight=2,4:n:3,1",
                                               "shiftquant-4"};
enum {
    INFERRED = sizeof inferred / sizeof *inferred,
    INFERRED_FORMATS = sizeof inferred_formats / sizeof *inferred_formats,
    INFERRED_BATCH = 5
};

/* A network that was trained, its checkpoint, and what it says of some images. */
static size_t trained(const kind_of_net *kind, const char *formats, rig *r, mls_net_desc *desc,
                      mls_result *result)
{
    size_t size;
    memset(desc, 0, sizeof *desc);
    desc->batch = INFERRED_BATCH, desc->seed = 3, desc->formats = formats_of(formats);
    desc->quantize_last = 1;
    t_note("%s, %s", kind->text, formats);
    if (!rig_make(r, desc, kind->text)) return 0;
    train(r, 0, 3, INFERRED_BATCH, (size_t)kind->image, kind->classes);
    size = mls_net_checkpoint_size(&r->net, 0);
    T_CHECK(size <= sizeof checkpoint);
    T_EQ_INT(mls_net_checkpoint_write(&r->net, NULL, 0, checkpoint, size), MLS_OK);
    make_images(INFERRED_BATCH, (size_t)kind->image, kind->classes, 55);
    T_EQ_INT(mls_net_evaluate(&r->net, some_images, some_labels, INFERRED_BATCH, result), MLS_OK);
    return size;
}

static size_t logits_bytes(const kind_of_net *kind)
{
    return INFERRED_BATCH * (size_t)kind->classes * sizeof(float);
}

static void inference_has_the_same_logits(void)
{
    for (int k = 0; k < INFERRED * INFERRED_FORMATS; k++) {
        const kind_of_net *kind = &inferred[k % INFERRED];
        mls_result result, again;
        mls_net_desc desc;
        size_t size;
        rig r, only;
        threads(1);
        T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
        size = trained(kind, inferred_formats[k / INFERRED], &r, &desc, &result);
        if (!size) return;
        desc.inference = 1;
        for (int how = 0; how < 3; how++) { /* with other kernels and threads */
            threads(1 + how);
            T_EQ_INT(mls_kernel_use(mls_kernel_name((k + how) % mls_kernel_count())), MLS_OK);
            if (!rig_make(&only, &desc, kind->text)) return;
            T_EQ_INT(mls_net_checkpoint_read(&only.net, checkpoint, size, NULL, 0), MLS_OK);
            T_EQ_INT(only.net.step, 3);
            T_EQ_INT(mls_net_evaluate(&only.net, some_images, some_labels, INFERRED_BATCH, &again),
                     MLS_OK);
            T_EQ_MEM(mls_net_logits(&only.net), mls_net_logits(&r.net), logits_bytes(kind));
            T_CHECK(again.loss == result.loss && again.correct == result.correct);
            T_EQ_INT(mls_net_evaluate(&only.net, some_images + kind->image, NULL, 1, NULL), MLS_OK);
            T_EQ_MEM(mls_net_logits(&only.net), mls_net_logits(&r.net) + kind->classes,
                     (size_t)kind->classes * sizeof(float));
            T_CHECK(how || kind->text != small_net || only.plan.arena < r.plan.arena);
            T_CHECK(only.plan.values < r.plan.values);
            T_CHECK(only.plan.weights == r.plan.weights && only.plan.macs_low == r.plan.macs_low);
            rig_free(&only);
        }
        rig_free(&r);
    }
    threads(1);
    T_EQ_INT(mls_kernel_use("auto"), MLS_OK);
}

/* Nothing is kept for backward: a deeper network needs no more memory for what passes through it. */
static void inference_is_no_larger_when_deeper(void)
{
    size_t values[2];
    for (int i = 0; i < 2; i++) {
        char text[400] = "i8 8 8";
        mls_net_desc desc = desc_low(3);
        rig r;
        int x = 0;
        desc.inference = 1;
        for (; x < (i ? 18 : 9); x += 3) {
            snprintf(text + strlen(text), 48, "|c%d 8 3 1 1|n%d|r%d", x, x + 1, x + 2);
        }
        snprintf(text + strlen(text), 40, "|g%d|l%d 3|z%d", x, x + 1, x + 2);
        if (!rig_make(&r, &desc, text)) return;
        values[i] = r.plan.values;
        rig_free(&r);
    }
    T_EQ_INT(values[1], values[0]);
}

/* Weights are packed once, until they are read or mls_net_pack is called. */
static void inference_packs_once(void)
{
    static const char *const formats[] = {"2,1:nc:2,0", "fp32"};
    for (int i = 0; i < 2; i++) {
        const kind_of_net *kind = &inferred[0];
        const size_t bytes = logits_bytes(kind);
        static float before[INFERRED_BATCH * 10];
        mls_result result;
        mls_net_desc desc;
        rig r, only;
        const size_t size = trained(kind, formats[i], &r, &desc, &result);
        if (!size) return;
        desc.inference = 1;
        if (!rig_make(&only, &desc, kind->text)) return;
        T_EQ_INT(mls_net_pack(&only.net), MLS_OK);
        T_EQ_INT(mls_net_checkpoint_read(&only.net, checkpoint, size, NULL, 0), MLS_OK);
        for (int written = 0; written < 3; written++) {
            T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
            if (written == 2) T_EQ_INT(mls_net_pack(&only.net), MLS_OK);
            T_EQ_INT(mls_net_evaluate(&only.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
            T_CHECK((memcmp(mls_net_logits(&only.net), mls_net_logits(&r.net), bytes) == 0) ==
                    (written != 1));
            if (written == 1) T_EQ_MEM(mls_net_logits(&only.net), before, bytes);
            memcpy(before, mls_net_logits(&only.net), bytes);
            if (written == 1) continue;
            mls_net_weights(&only.net, 4, 0, NULL)[5] += 2,
                mls_net_weights(&r.net, 4, 0, NULL)[5] += 2;
        }
        mls_net_weights(&only.net, 4, 0, NULL)[5] = INFINITY;
        T_EQ_INT(mls_net_pack(&only.net), i ? MLS_OK : MLS_ERROR_NONFINITE);
        if (i == 0) T_CHECK(strstr(only.net.text, "node 4 (convolution): its weights") != NULL);
        T_EQ_INT(mls_net_evaluate(&only.net, some_images, NULL, 1, NULL), MLS_ERROR_NONFINITE);
        T_EQ_INT(mls_net_pack(NULL), MLS_ERROR_ARGUMENT);
        rig_free(&r), rig_free(&only);
    }
}

/* Formats that change are packed anew. */
static void inference_changes_formats(void)
{
    static const char *const some[] = {"2,4:nc:2,1", "0,7:none", "2,1:nc:2,0"};
    mls_net_desc desc = desc_of(INFERRED_BATCH, "2,1:nc:2,0", "2,1:nc:2,0", "2,1:nc:2,0");
    rig r, only;
    desc.widest = formats_of("2,4:nc:2,1");
    if (!rig_make(&r, &desc, small_net)) return;
    desc.inference = 1;
    if (!rig_make(&only, &desc, small_net)) return;
    make_images(INFERRED_BATCH, SMALL_IMAGE, 10, 56);
    for (int i = 0; i < 6; i++) {
        const mls_formats f = formats_of(some[i / 2]);
        if (i % 2) T_EQ_INT(mls_net_format(&r.net, 4, &f), MLS_OK);
        if (i % 2) T_EQ_INT(mls_net_format(&only.net, 4, &f), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&only.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
        T_EQ_MEM(mls_net_logits(&only.net), mls_net_logits(&r.net), logits_bytes(&inferred[0]));
    }
    rig_free(&r), rig_free(&only);
}

/* Threads with a network each, in batches of their own, and one set of weights. */
static void weights_are_shared(void)
{
    enum {
        SHARERS = 4
    };
    for (int k = 0; k < INFERRED * INFERRED_FORMATS; k++) {
        const kind_of_net *kind = &inferred[k % INFERRED];
        static rig shares[SHARERS];
        static float logits[SHARERS][INFERRED_BATCH * 10];
        int wrong = 0;
        mls_result result;
        mls_net_desc desc;
        size_t size;
        rig r, owner;
        threads(1);
        size = trained(kind, inferred_formats[k / INFERRED], &r, &desc, &result);
        if (!size) return;
        desc.inference = 1;
        if (!rig_make(&owner, &desc, kind->text)) return;
        desc.weights_of = &owner.net;
        for (int i = 0; i < SHARERS; i++) {
            desc.batch = 1 + i * 2;
            if (!rig_make(&shares[i], &desc, kind->text)) return;
            T_CHECK(shares[i].plan.parameters < owner.plan.parameters);
        }
        T_EQ_INT(mls_net_evaluate(&shares[0].net, some_images, NULL, 1, NULL), MLS_ERROR_STATE);
        T_CHECK(strstr(shares[0].net.text, "mls_net_pack of weights_of") != NULL);
        for (int again = 0; again < 2; again++) { /* other weights come to all */
            T_EQ_INT(mls_net_checkpoint_read(&owner.net, checkpoint, size, NULL, 0), MLS_OK);
            if (again) mls_net_weights(&owner.net, 1, 0, NULL)[1] += 1;
            if (again) mls_net_weights(&r.net, 1, 0, NULL)[1] += 1;
            T_EQ_INT(mls_net_pack(&owner.net), MLS_OK);
            T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
#if defined(_OPENMP)
#pragma omp parallel for num_threads(SHARERS) reduction(+ : wrong)
#endif
            for (int i = 0; i < SHARERS; i++) {
                for (int n = 0; n < INFERRED_BATCH; n += 1 + i * 2) {
                    const int left = INFERRED_BATCH - n,
                              count = left < 1 + i * 2 ? left : 1 + i * 2;
                    wrong += mls_net_evaluate(&shares[i].net, some_images + n * kind->image, NULL,
                                              count, NULL) != MLS_OK;
                    memcpy(logits[i] + n * kind->classes, mls_net_logits(&shares[i].net),
                           (size_t)(count * kind->classes) * sizeof(float));
                }
            }
            T_EQ_INT(wrong, 0);
            for (int i = 0; i < SHARERS; i++) {
                T_EQ_MEM(logits[i], mls_net_logits(&r.net), logits_bytes(kind));
            }
        }
        for (int i = 0; i < SHARERS; i++) rig_free(&shares[i]);
        rig_free(&owner), rig_free(&r);
    }
}

static void sharing_refused(void)
{
    static mls_node nodes[64];
    mls_net_desc desc = desc_low(2), other;
    const mls_formats fp32 = formats_of("fp32");
    mls_net net;
    rig r, owner, share;
    if (!rig_make(&r, &desc, tiny_net)) return;
    desc.inference = 1;
    if (!rig_make(&owner, &desc, tiny_net)) return;
    T_EQ_INT(mls_net_pack(&owner.net), MLS_OK);
    desc.weights_of = &owner.net;
    if (!rig_make(&share, &desc, tiny_net)) return;
    T_EQ_INT(mls_net_checkpoint_read(&share.net, checkpoint, 99, NULL, 0), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_format(&share.net, 1, &fp32), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_model_write(&share.net, 1, NULL, 0, checkpoint, sizeof checkpoint),
             MLS_ERROR_STATE);
    make_images(2, 16, 2, 1);
    T_EQ_INT(mls_net_evaluate(&share.net, some_images, NULL, 2, NULL), MLS_OK);
    rig_free(&share);
    for (int i = 0; i < 3; i++) { /* a network that trains, one without weights, one that trains */
        other = desc;
        if (i == 0) other.weights_of = &r.net;
        if (i == 1) other.weights_of = &share.net;
        if (i == 2) other.inference = 0;
        mls_net_begin(&net, &other, nodes, 64);
        build(&net, tiny_net);
        T_EQ_INT(mls_net_plan(&net, NULL), MLS_ERROR_ARGUMENT);
        T_CHECK(strstr(net.text, "weights_of") != NULL);
    }
    other = desc, other.quantize_first = 1;
    if (!rig_make(&share, &other, tiny_net)) return;
    T_EQ_INT(mls_net_evaluate(&share.net, some_images, NULL, 2, NULL), MLS_ERROR_STATE);
    T_CHECK(strstr(share.net.text, "other layers or formats") != NULL);
    rig_free(&share);
    if (!rig_make(&share, &desc, "i4 4 1|c0 3 3 1 1|n1|r2|g3|l4 2|z5")) return;
    T_EQ_INT(mls_net_evaluate(&share.net, some_images, NULL, 2, NULL), MLS_ERROR_STATE);
    rig_free(&share), rig_free(&owner), rig_free(&r);
}

/* Layers with as many weights may still be others. */
static void sharing_needs_the_same_layers(void)
{
    static const char *const others[] = {
        "i4 4 1|c0 2 3 2 1 0 1|r1|g2|z3", "i4 4 1|c0 2 3 1 1 0 1|m1 1 1 0|g2|z3",
        "i5 4 1|c0 2 3 1 1 0 1|r1|g2|z3", "i4 4 1|c0 2 3 1 1 0 1|r1|l2 999|z3"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        mls_net_desc desc = desc_low(2);
        rig owner, share;
        desc.inference = 1;
        if (!rig_make(&owner, &desc, "i4 4 1|c0 2 3 1 1 0 1|r1|g2|z3")) return;
        T_EQ_INT(mls_net_pack(&owner.net), MLS_OK);
        desc.weights_of = &owner.net;
        T_REQUIRE(rig_make(&share, &desc, others[i]));
        make_images(2, 20, 2, 1);
        T_EQ_INT(mls_net_evaluate(&share.net, some_images, NULL, 2, NULL), MLS_ERROR_STATE);
        T_CHECK(strstr(share.net.text, "other layers or formats") != NULL);
        T_CHECK((mls_net_weights(&share.net, 1, 0, NULL) != NULL) == (i < 3));
        T_CHECK((mls_net_digest(&share.net) != 0) == (i < 3));
        rig_free(&share), rig_free(&owner);
    }
}

static mls_status no_values(void *user, const mls_net_tensor *tensor)
{
    (void)user;
    return tensor->values ? MLS_ERROR_DATA : MLS_OK;
}

/* A sharer that is bound first has no numbers yet. */
static void sharing_before_the_owner(void)
{
    mls_net_desc desc = desc_low(2);
    rig owner, share;
    desc.inference = 1;
    mls_net_begin(&owner.net, &desc, owner.nodes, 64);
    build(&owner.net, tiny_net);
    T_EQ_INT(mls_net_plan(&owner.net, &owner.plan), MLS_OK);
    desc.weights_of = &owner.net;
    if (!rig_make(&share, &desc, tiny_net)) return;
    make_images(2, 16, 2, 1);
    T_EQ_INT(mls_net_evaluate(&share.net, some_images, NULL, 2, NULL), MLS_ERROR_STATE);
    T_CHECK(strstr(share.net.text, "mls_net_pack of weights_of") != NULL);
    T_CHECK(!mls_net_weights(&share.net, 1, 0, NULL) && !mls_net_digest(&share.net));
    T_EQ_INT(mls_net_each_tensor(&share.net, no_values, NULL), MLS_OK);
    owner.arena = t_alloc(owner.plan.arena);
    T_EQ_INT(mls_net_bind(&owner.net, owner.arena, owner.plan.arena), MLS_OK);
    T_EQ_INT(mls_net_pack(&owner.net), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&share.net, some_images, NULL, 2, NULL), MLS_OK);
    T_CHECK(mls_net_digest(&share.net) == mls_net_digest(&owner.net));
    T_EQ_INT(mls_net_each_tensor(&share.net, no_values, NULL), MLS_ERROR_DATA);
    rig_free(&share), rig_free(&owner);
}

/* Stochastic rounding has the seed of the weights, which a checkpoint changes. */
static void sharers_round_alike(void)
{
    mls_net_desc desc = desc_of(3, "2,1:nc:2,0", "2,1:nc:2,0:stochastic", "2,1:nc:2,0");
    rig r, owner, share;
    size_t size;
    if (!rig_make(&r, &desc, small_net)) return;
    size = mls_net_checkpoint_size(&r.net, 0);
    T_REQUIRE(size <= sizeof checkpoint);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, size), MLS_OK);
    desc.seed += 9, desc.inference = 1;
    if (!rig_make(&owner, &desc, small_net)) return;
    desc.weights_of = &owner.net;
    if (!rig_make(&share, &desc, small_net)) return;
    T_EQ_INT(mls_net_checkpoint_read(&owner.net, checkpoint, size, NULL, 0), MLS_OK);
    T_EQ_INT(mls_net_pack(&owner.net), MLS_OK);
    make_images(3, SMALL_IMAGE, 10, 4);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 3, NULL), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&owner.net, some_images, NULL, 3, NULL), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&share.net, some_images, NULL, 3, NULL), MLS_OK);
    T_EQ_MEM(mls_net_logits(&owner.net), mls_net_logits(&r.net), 30 * sizeof(float));
    T_EQ_MEM(mls_net_logits(&share.net), mls_net_logits(&r.net), 30 * sizeof(float));
    rig_free(&share), rig_free(&owner), rig_free(&r);
}

static unsigned char model_bytes[1 << 16];

/* A model written by either kind of network has the logits of the one that was trained. */
static void models_have_the_same_logits(void)
{
    for (int k = 0; k < INFERRED * INFERRED_FORMATS * 2; k++) {
        const kind_of_net *kind = &inferred[k / 2 % INFERRED];
        const int packed = k % 2;
        mls_result result;
        mls_net_desc desc;
        mls_checkpoint about;
        unsigned char note[4];
        size_t size, full;
        rig r, only;
        full = trained(kind, inferred_formats[k / 2 / INFERRED], &r, &desc, &result);
        if (!full) return;
        size = mls_net_model_size(&r.net, packed, 4);
        T_REQUIRE(size > 0 && size <= sizeof model_bytes);
        T_CHECK(size + 4 * r.net.parameters <= full + 4);
        memset(model_bytes, 0xa5, sizeof model_bytes);
        T_EQ_INT(mls_net_model_write(&r.net, packed, "note", 4, model_bytes, size), MLS_OK);
        T_CHECK(model_bytes[size] == 0xa5);
        T_EQ_INT(mls_checkpoint_look(model_bytes, size, &about, NULL, 0), MLS_OK);
        T_CHECK(about.version == 3 && about.step == 3 && about.note_size == 4);
        T_EQ_INT(about.content, packed ? MLS_CONTENT_PACKED : MLS_CONTENT_FP32);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
        desc.inference = 1;
        for (int again = 0; again < 2; again++) { /* by the trained one, by the one that read it */
            if (!rig_make(&only, &desc, kind->text)) return;
            T_EQ_INT(mls_net_evaluate(&only.net, some_images, NULL, 1, NULL), MLS_OK);
            T_EQ_INT(mls_net_checkpoint_read(&only.net, model_bytes, size, note, 4), MLS_OK);
            T_CHECK(memcmp(note, "note", 4) == 0);
            T_EQ_INT(mls_net_evaluate(&only.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
            T_EQ_MEM(mls_net_logits(&only.net), mls_net_logits(&r.net), logits_bytes(kind));
            T_EQ_INT(mls_net_model_write(&only.net, packed, "note", 4, model_bytes, size), MLS_OK);
            rig_free(&only);
        }
        rig_free(&r);
    }
}

/* Opened from its bytes; and trained on, from momentum 0, or not. */
static void models_open_and_train(void)
{
    static mls_node nodes[64];
    const kind_of_net *kind = &inferred[0];
    mls_result result;
    mls_net_desc desc;
    mls_plan plan;
    mls_net net;
    rig r, again;
    void *arena;
    size_t size;
    uint64_t digest;
    if (!trained(kind, "2,1:nc:2,0", &r, &desc, &result)) return;
    size = mls_net_model_size(&r.net, 1, 0);
    T_EQ_INT(mls_net_model_write(&r.net, 1, NULL, 0, model_bytes, size), MLS_OK);
    T_CHECK(mls_net_logits(&r.net) == NULL);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
    T_EQ_INT(mls_net_open(&net, NULL, nodes, 64, model_bytes, size), MLS_OK);
    T_CHECK(net.desc.inference);
    T_EQ_INT(mls_net_plan(&net, &plan), MLS_OK);
    arena = t_alloc(plan.arena);
    T_EQ_INT(mls_net_bind(&net, arena, plan.arena), MLS_OK);
    T_EQ_INT(mls_net_checkpoint_read(&net, model_bytes, size, NULL, 0), MLS_OK);
    T_EQ_INT(mls_net_evaluate(&net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
    T_EQ_MEM(mls_net_logits(&net), mls_net_logits(&r.net), logits_bytes(kind));
    T_EQ_INT(mls_net_model_write(&net, 0, NULL, 0, checkpoint, sizeof checkpoint), MLS_ERROR_STATE);
    T_CHECK(strstr(net.text, "has no others") != NULL);
    t_free(arena);
    digest = mls_net_digest(&r.net);
    T_EQ_INT(mls_net_checkpoint_read(&r.net, model_bytes, size, NULL, 0), MLS_ERROR_DATA);
    T_CHECK(strstr(r.net.text, "cannot be trained") != NULL && mls_net_digest(&r.net) == digest);
    size = mls_net_model_size(&r.net, 0, 0);
    T_EQ_INT(mls_net_model_write(&r.net, 0, NULL, 0, model_bytes, size), MLS_OK);
    if (!rig_make(&again, &desc, kind->text)) return;
    train(&again, 0, 1, INFERRED_BATCH, (size_t)kind->image, kind->classes);
    T_EQ_INT(mls_net_checkpoint_read(&again.net, model_bytes, size, NULL, 0), MLS_OK);
    memset(mls__floats(&r.net, 0) + 2 * r.net.parameters, 0, r.net.parameters * sizeof(float));
    T_CHECK(mls_net_digest(&again.net) == mls_net_digest(&r.net));
    rig_free(&r), rig_free(&again);
}

/* Codes that were read stay, for sharers, too, until their weights change: what they stand for need not be
   quantized to them again. */
static void models_packed_again(void)
{
    static float logits[INFERRED_BATCH * 10];
    const kind_of_net *kind = &inferred[0];
    const size_t bytes = logits_bytes(kind);
    mls_result result;
    mls_net_desc desc;
    size_t size;
    rig r, owner, share;
    if (!trained(kind, "2,1:nc:8,1", &r, &desc, &result)) return;
    memcpy(logits, mls_net_logits(&r.net), bytes);
    size = mls_net_model_size(&r.net, 1, 0);
    T_EQ_INT(mls_net_model_write(&r.net, 1, NULL, 0, model_bytes, size), MLS_OK);
    desc.inference = 1;
    if (!rig_make(&owner, &desc, kind->text)) return;
    desc.weights_of = &owner.net;
    T_REQUIRE(rig_make(&share, &desc, kind->text));
    T_EQ_INT(mls_net_checkpoint_read(&owner.net, model_bytes, size, NULL, 0), MLS_OK);
    for (int changed = 0; changed < 3; changed++) {
        if (changed == 1) mls_net_weights(&owner.net, 4, 0, NULL)[6] += 1;
        if (changed == 2) mls_net_checkpoint_read(&owner.net, model_bytes, size, NULL, 0);
        T_EQ_INT(mls_net_pack(&owner.net), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&owner.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
        T_EQ_INT(mls_net_evaluate(&share.net, some_images, NULL, INFERRED_BATCH, NULL), MLS_OK);
        T_EQ_MEM(mls_net_logits(&share.net), mls_net_logits(&owner.net), bytes);
        T_EQ_INT(memcmp(mls_net_logits(&owner.net), logits, bytes) != 0, changed == 1);
    }
    rig_free(&share), rig_free(&owner), rig_free(&r);
}

/* What a byte of a model says has a right sum. */
static void mend(unsigned char *bytes, size_t size)
{
    mls__put(bytes + size - 8, mls__mix(mls__hash_bytes(0, bytes, size - 8)), 8);
}

/* Codes that are none, other formats, other sizes: refused, and the network stays as it is. */
static void models_damaged(void)
{
    static const char *const names[] = {"0,4:nc:2,0", "2,1:nc:2,1", "4,4:nc:4,0"};
    for (int k = 0; k < 3; k++) {
        mls_net_desc desc = desc_of(2, names[k], names[k], names[k]);
        size_t size, refused = 0;
        unsigned char *exact;
        uint64_t digest;
        rig r, only;
        desc.quantize_first = 1;
        t_note("%s", names[k]);
        if (!rig_make(&r, &desc, tiny_net)) return;
        size = mls_net_model_size(&r.net, 1, 0), exact = (unsigned char *)t_alloc(size);
        T_EQ_INT(mls_net_model_write(&r.net, 1, NULL, 0, exact, size), MLS_OK);
        desc.inference = 1;
        if (!rig_make(&only, &desc, tiny_net)) return;
        T_EQ_INT(mls_net_checkpoint_read(&only.net, exact, size, NULL, 0), MLS_OK);
        make_images(2, 16, 2, 3);
        digest = mls_net_digest(&only.net);
        for (size_t i = 0; i + 8 < size; i++) { /* what goes wrong is said, and nothing else does */
            const unsigned char keep = exact[i];
            mls_status status;
            exact[i] = 0xff, mend(exact, size);
            status = mls_net_checkpoint_read(&only.net, exact, size, NULL, 0);
            refused += status == MLS_ERROR_DATA;
            T_CHECK(status == MLS_OK || (status == MLS_ERROR_DATA && only.net.text[0]));
            if (status != MLS_OK) T_CHECK(mls_net_digest(&only.net) == digest);
            status = mls_net_evaluate(&only.net, some_images, NULL, 2, NULL);
            T_CHECK(status == MLS_OK || status == MLS_ERROR_NONFINITE);
            exact[i] = keep, mend(exact, size);
            T_EQ_INT(mls_net_checkpoint_read(&only.net, exact, size, NULL, 0), MLS_OK);
        }
        T_CHECK(refused > 30);
        for (size_t cut = 1; cut < size; cut += 7) {
            unsigned char *less = (unsigned char *)t_alloc(size - cut);
            memcpy(less, exact, size - cut);
            if (size - cut > 8) mend(less, size - cut);
            T_EQ_INT(mls_net_checkpoint_read(&only.net, less, size - cut, NULL, 0), MLS_ERROR_DATA);
            t_free(less);
        }
        rig_free(&only);
        desc = desc_of(2, names[(k + 1) % 3], "2,1:nc:2,0", "2,1:nc:2,0");
        desc.quantize_first = desc.inference = 1;
        if (!rig_make(&only, &desc, tiny_net)) return;
        T_EQ_INT(mls_net_checkpoint_read(&only.net, exact, size, NULL, 0), MLS_ERROR_DATA);
        T_CHECK(strstr(only.net.text, "format") != NULL);
        t_free(exact), rig_free(&only), rig_free(&r);
    }
}

/* A head that has no nodes, as in format 1, is followed by none that packed weights could ask. */
static void models_without_nodes(void)
{
    mls_net_desc desc = desc_low(2);
    for (int packed = 0; packed < 2; packed++) {
        mls_checkpoint about;
        size_t size, nodes;
        rig r, only;
        desc.inference = 0;
        if (!rig_make(&r, &desc, tiny_net)) return;
        size = mls_net_model_size(&r.net, packed, 0);
        T_EQ_INT(mls_net_model_write(&r.net, packed, NULL, 0, model_bytes, size), MLS_OK);
        nodes = (size_t)r.net.count * mls__node_bytes(&r.net);
        memmove(model_bytes + 96, model_bytes + 96 + nodes, size - nodes - 96);
        mls__put(model_bytes + 64, 0, 4), mls__put(model_bytes + 68, 0x7fffffff, 4);
        size -= nodes, mend(model_bytes, size);
        desc.inference = 1;
        if (!rig_make(&only, &desc, tiny_net)) return;
        T_EQ_INT(mls_net_checkpoint_read(&only.net, model_bytes, size, NULL, 0), MLS_ERROR_DATA);
        T_EQ_INT(mls_checkpoint_look(model_bytes, size, &about, NULL, 0), MLS_ERROR_DATA);
        rig_free(&only), rig_free(&r);
    }
}

/* The bytes are the same everywhere. */
static void model_golden(void)
{
    static const uint64_t hashes[] = {0x3838879b8935ab0bu, 0x4f39543bae63ff76u};
    mls_net_desc desc = desc_low(2);
    rig r;
    desc.quantize_first = 1;
    if (!rig_make(&r, &desc, tiny_net)) return;
    train(&r, 0, 3, 2, 16, 2);
    for (int packed = 0; packed < 2; packed++) {
        const size_t size = mls_net_model_size(&r.net, packed, 0);
        T_EQ_INT(mls_net_model_write(&r.net, packed, NULL, 0, checkpoint, size), MLS_OK);
        EQ_HASH(hash_bytes(checkpoint, size), hashes[packed]);
    }
    rig_free(&r);
}

static void inference_refuses_training(void)
{
    mls_net_desc desc = desc_low(2);
    rig r;
    desc.inference = 1;
    if (!rig_make(&r, &desc, tiny_net)) return;
    make_images(2, 16, 2, 1);
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 2, NULL), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "for inference") != NULL);
    T_EQ_INT(mls_net_update(&r.net, &plain_sgd), MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "for inference") != NULL);
    T_EQ_INT(mls_net_step(&r.net, some_images, some_labels, 2, &plain_sgd, NULL), MLS_ERROR_STATE);
    T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, checkpoint, sizeof checkpoint),
             MLS_ERROR_STATE);
    T_CHECK(strstr(r.net.text, "for inference") != NULL);
    T_CHECK(mls_net_weights(&r.net, 1, 0, NULL) && !mls_net_gradients(&r.net, 1, 0, NULL));
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 2, NULL), MLS_OK);
    rig_free(&r);
}

#define INFERENCE_TESTS                                                                     \
    T_TEST(inference_has_the_same_logits), T_TEST(inference_is_no_larger_when_deeper),      \
        T_TEST(inference_packs_once), T_TEST(inference_changes_formats),                    \
        T_TEST(weights_are_shared), T_TEST(sharing_refused),                                \
        T_TEST(sharing_needs_the_same_layers), T_TEST(sharing_before_the_owner),            \
        T_TEST(sharers_round_alike), T_TEST(models_have_the_same_logits),                   \
        T_TEST(models_open_and_train), T_TEST(models_packed_again), T_TEST(models_damaged), \
        T_TEST(models_without_nodes), T_TEST(model_golden), T_TEST(inference_refuses_training)
