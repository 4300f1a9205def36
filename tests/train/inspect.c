/* What mls_net_inspect shows are the operands that the products take, with the numbers that they stand
   for, and looking changes nothing. */

typedef struct operands_seen {
    const rig *of;
    int count[NODES][6], bad;
    const float *values[3]; /* null: not known */
} operands_seen;

/* The seed of an operand's rounding, which is that of the node that quantizes it. */
static uint64_t rounding_of(const rig *r, int32_t node, int32_t o)
{
    const int32_t owner = o % 3 == 1 ? r->nodes[node].activation_of[o / 3] : node;
    const uint64_t step = mls_seed(5, (uint64_t)r->net.step);
    const uint64_t seed = mls_seed(step, (uint64_t)owner * 4 + (uint64_t)(o % 3));
    return o < 3 ? seed : mls_seed(seed, 1);
}

static void see_operand(void *user, int32_t node, int32_t o, const mls_tensor *t, const float *x)
{
    static operand own;
    operands_seen *s = (operands_seen *)user;
    const size_t count = (size_t)t->shape.n * (size_t)(t->shape.h * t->shape.w * t->shape.c);
    const float *values = s->values[o % 3];
    s->count[node][o]++;
    operand_make(&own, t->format, t->shape, x, rounding_of(s->of, node, o));
    s->bad += own.t.scale != t->scale;
    for (size_t i = 0; i < count; i++)
        s->bad += mls_tensor_code(&own.t, i) != mls_tensor_code(t, i);
    if (values) s->bad += memcmp(values, x, count * sizeof *x) != 0;
    t_free(own.memory);
}

/* The numbers are those that go in and come back, with every thread count. */
static void inspected_numbers(void)
{
    static rig r;
    static operands_seen s;
    for (int i = 0; i < BY_PRODUCT; i++) {
        mls_format f[6];
        mls_formats formats = formats_of(by_product[i]);
        six_of(&formats, f);
        t_note("%s", by_product[i]);
        threads(1 + i % 3);
        make_trial_images((uint64_t)i);
        T_REQUIRE(trial_taps(&r, by_product[i], 5, 3, 3, 1));
        memset(&s, 0, sizeof s);
        s.of = &r;
        s.values[0] = mls_net_weights(&r.net, UNDER_TEST, 0, NULL);
        s.values[1] = taps[0].x, s.values[2] = taps[1].dy;
        T_EQ_INT(mls_net_inspect(&r.net, trial_images, trial_labels, TRIAL_BATCH, see_operand, &s),
                 MLS_OK);
        T_EQ_INT(s.bad, 0);
        for (int o = 0; o < 6; o++) {
            const int own = o < 3 || memcmp(&f[o], &f[o - 3], sizeof *f) != 0;
            T_EQ_INT(s.count[UNDER_TEST][o], own && !is_fp32(f[o]));
        }
        rig_free(&r);
    }
    threads(1);
}

static void inspect_all(rig *r, operands_seen *s)
{
    memset(s, 0, sizeof *s);
    s->of = r;
    make_trial_images(3);
    T_EQ_INT(mls_net_inspect(&r->net, trial_images, trial_labels, TRIAL_BATCH, see_operand, s),
             MLS_OK);
    T_EQ_INT(s->bad, 0);
}

/* Convolutions that share what is quantized: it is shown to both. */
static void inspected_shared(void)
{
    static rig r;
    static operands_seen s;
    T_REQUIRE(trial_make(&r, "2,1", NULL));
    steps(&r, 2);
    inspect_all(&r, &s);
    for (int32_t i = 0; i < r.net.count; i++) {
        const int low = i == 4 || i == 5 || i == 9;
        for (int o = 0; o < 6; o++) T_EQ_INT(s.count[i][o], low && o < 3);
    }
    rig_free(&r);
}

/* The error of convolution 3 lies where the gradient of relu 2 does, which overwrites it. */
static void inspected_in_place(void)
{
    static rig r;
    static operands_seen s;
    mls_net_desc desc = {0};
    desc.batch = TRIAL_BATCH, desc.seed = 5, desc.formats = formats_of("2,1"),
    desc.quantize_first = 1;
    memset(&r, 0, sizeof r);
    mls_net_begin(&r.net, &desc, r.nodes, NODES);
    build(&r.net, "i4 4 2|c0 4 3 1 1|r1|c0 4 3 1 1|a3 2|l4 3|z5");
    T_REQUIRE(rig_bind(&r));
    T_EQ_INT(r.nodes[2].grad_of, r.nodes[3].grad_of);
    inspect_all(&r, &s);
    T_EQ_INT(s.count[3][2], 1);
    rig_free(&r);
}

/* Trainings with and without a look in between end in the same digest; also where it fails. */
static void inspection_changes_nothing(void)
{
    static rig a, b;
    static operands_seen s;
    T_REQUIRE(trial_make(&a, "2,1", NULL));
    T_REQUIRE(trial_make(&b, "2,1", NULL));
    memset(&s, 0, sizeof s);
    s.of = &b;
    for (int i = 0; i < 3; i++) {
        uint64_t before;
        steps(&a, 1), steps(&b, 1);
        before = mls_net_digest(&b.net);
        make_trial_images(9);
        T_EQ_INT(mls_net_inspect(&b.net, trial_images, trial_labels, 3, see_operand, &s), MLS_OK);
        trial_images[0] = (float)INFINITY;
        T_EQ_INT(mls_net_inspect(&b.net, trial_images, trial_labels, 3, see_operand, &s),
                 MLS_ERROR_NONFINITE);
        T_CHECK(mls_net_digest(&b.net) == before);
    }
    make_trial_images(9);
    T_EQ_INT(mls_net_gradient(&a.net, trial_images, trial_labels, 3, NULL), MLS_OK);
    T_EQ_INT(mls_net_gradient(&b.net, trial_images, trial_labels, 3, NULL), MLS_OK);
    T_EQ_INT(mls_net_inspect(&b.net, trial_images, trial_labels, 3, see_operand, &s),
             MLS_ERROR_STATE);
    T_EQ_INT(mls_net_update(&a.net, &plain_sgd), MLS_OK);
    T_EQ_INT(mls_net_update(&b.net, &plain_sgd), MLS_OK);
    T_CHECK(mls_net_digest(&a.net) == mls_net_digest(&b.net));
    T_EQ_INT(mls_net_inspect(&b.net, trial_images, trial_labels, 3, NULL, NULL),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_inspect(&b.net, trial_images, NULL, 3, see_operand, &s), MLS_ERROR_ARGUMENT);
    T_EQ_INT(mls_net_inspect(NULL, trial_images, trial_labels, 3, see_operand, &s),
             MLS_ERROR_ARGUMENT);
    T_EQ_INT(s.bad, 0);
    rig_free(&a), rig_free(&b);
}

#define INSPECT_TESTS                                                                \
    T_TEST(inspected_numbers), T_TEST(inspected_shared), T_TEST(inspected_in_place), \
        T_TEST(inspection_changes_nothing)
