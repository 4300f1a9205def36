/* Layers of the user train like those of the library, are named in errors, and are refused if they ask
   for too much. */

/* Trains with them in low-bit integers: any number of threads, pieces of a checkpoint, evaluation. */
static void custom_layers_train(void)
{
    static const char net[] = "i8 8 3|c0 8 3 1 1|n1|p2|t3|c4 8 3 1 1|o5|k4 6|c7 12 3 2 1|n8|f9|p10|"
                              "g11|l12 10|e13";
    static uint8_t bytes[1 << 16];
    mls_net_desc desc = desc_low(12);
    uint64_t digest = 0;
    for (int count = 1; count <= 4; count++) {
        mls_result before, after;
        size_t size;
        float *state;
        rig r, again;
        threads(count);
        if (!rig_make(&r, &desc, net) || !rig_make(&again, &desc, net)) return;
        make_images(12, SMALL_IMAGE, 10, 1);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 12, &before), MLS_OK);
        for (int i = 0; i < 30; i++) {
            mls_net_step(&r.net, some_images, some_labels, 12, &plain_sgd, NULL);
        }
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, some_labels, 12, &after), MLS_OK);
        T_CHECK(after.loss < 0.8 * before.loss && after.correct > before.correct);
        state = mls__state_at(&r.net, &r.nodes[4]);
        T_EQ_INT((int)state[0], 30); /* of steps that went well, not of evaluations */
        some_images[5] = HUGE_VALF;
        T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 12, NULL), MLS_ERROR_NONFINITE);
        T_EQ_INT((int)state[0], 30);
        if (count == 1) digest = mls_net_digest(&r.net);
        T_CHECK(mls_net_digest(&r.net) == digest);
        size = mls_net_checkpoint_size(&r.net, 0);
        T_REQUIRE(size && size <= sizeof bytes);
        T_EQ_INT(mls_net_checkpoint_write(&r.net, NULL, 0, bytes, size), MLS_OK);
        T_CHECK(mls_net_digest(&again.net) != digest);
        T_EQ_INT(mls_net_checkpoint_read(&again.net, bytes, size, NULL, 0), MLS_OK);
        T_CHECK(mls_net_digest(&again.net) == digest);
        state[0]++; /* is part of it */
        T_CHECK(mls_net_digest(&r.net) != digest);
        rig_free(&r), rig_free(&again);
    }
    threads(1);
}

/* The first layer that is not finite is named, whichever step overwrites it. */
static void custom_layers_named(void)
{
    mls_net_desc desc = desc_fp32(4);
    rig r;
    if (!rig_make(&r, &desc, "i4 4 2|c0 4 3 1 1 1|p1|f2|l3 3|z4")) return;
    make_images(4, 32, 3, 1);
    mls_net_weights(&r.net, 2, 0, NULL)[1] = HUGE_VALF;
    T_EQ_INT(mls_net_gradient(&r.net, some_images, some_labels, 4, NULL), MLS_ERROR_NONFINITE);
    T_CHECK(strstr(r.net.text, "node 2 (prelu): its output is not finite") != NULL);
    T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 4, NULL), MLS_ERROR_NONFINITE);
    T_CHECK(strstr(r.net.text, "node 2 (prelu): its output is not finite") != NULL);
    rig_free(&r);
}

static const char *grow_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->shape.c++;
    return NULL;
}

static const char *huge_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->keep = SIZE_MAX - 3;
    return NULL;
}

static const char *heavy_shape(const mls_work *w, mls_layer_sizes *sizes)
{
    (void)w;
    sizes->state = SIZE_MAX / 2;
    return NULL;
}

static void custom_layers_refused(void)
{
    static const mls_step reads_keep[] = {{0, MLS_EACH, MLS_X | MLS_KEEP, MLS_Y, turn_forward},
                                          MLS_STEPS_END};
    static const mls_step serial_dx[] = {{0, MLS_SERIAL, MLS_DY, MLS_DX, turn_backward},
                                         MLS_STEPS_END};
    static const mls_step reads_x[] = {{0, MLS_EACH, MLS_DY | MLS_X, MLS_DX, turn_backward},
                                       MLS_STEPS_END};
    static const mls_step unknown[] = {{0, 3, MLS_X, MLS_Y, turn_forward}, MLS_STEPS_END};
    static const mls_step stranger[] = {{0, 0, MLS_X, MLS_Y | 64, turn_forward}, MLS_STEPS_END};
    static const mls_step nothing[] = {MLS_STEPS_END};
    static const mls_step *const f = turn_forward_steps, *const b = turn_backward_steps;
    const struct {
        mls_layer_kind kind;
        const char *says;
        mls_status status;
    } rows[] = {
        {{NULL, 0, NULL, NULL, f, b, NULL, NULL}, "its name", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, NULL, b, NULL, NULL}, "forward steps", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, nothing, b, NULL, NULL}, "forward steps", MLS_ERROR_ARGUMENT},
        {{"a", 8, NULL, NULL, f, b, NULL, NULL}, "unknown flags", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, f, serial_dx, NULL, NULL}, "serial step", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, unknown, b, NULL, NULL}, "neither of images", MLS_ERROR_ARGUMENT},
        {{"a", 0, NULL, NULL, stranger, b, NULL, NULL}, "uses what is not", MLS_ERROR_ARGUMENT},
        {{"a", MLS_IN_PLACE, NULL, NULL, f, reads_x, NULL, NULL},
         "overwritten in place",
         MLS_ERROR_ARGUMENT},
        {{"a", MLS_IN_PLACE, grow_shape, NULL, f, b, NULL, NULL},
         "node 1 (a): it is in place",
         MLS_ERROR_SHAPE},
        {{"a", 0, huge_shape, NULL, f, b, NULL, NULL}, "too much memory", MLS_ERROR_SHAPE},
        {{"a", 0, heavy_shape, NULL, f, b, NULL, NULL}, "too large", MLS_ERROR_SHAPE},
        {{"a", 0, NULL, NULL, reads_keep, b, NULL, NULL}, "", MLS_OK}, /* there is nothing kept */
        {{"a", 0, tally_shape, NULL, reads_keep, b, NULL, NULL},
         "node 1 (a): a step reads what no step before it writes",
         MLS_ERROR_STATE},
    };
    mls_net_desc desc = desc_fp32(4);
    rig r;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        t_note("row %d", (int)i);
        mls_net_begin(&r.net, &desc, r.nodes, 64);
        mls_net_custom(&r.net, &rows[i].kind, mls_net_input(&r.net, 4, 4, 2), -1, NULL);
        build(&r.net, "l1 3|z2");
        T_EQ_INT(mls_net_plan(&r.net, NULL), rows[i].status);
        if (!strstr(r.net.text, rows[i].says)) t_fail(__FILE__, __LINE__, "%s", r.net.text);
    }
    T_EQ_INT(mls_net_custom(NULL, &turn, 0, -1, NULL), -1);
    mls_net_begin(&r.net, &desc, r.nodes, 64);
    T_EQ_INT(mls_net_custom(&r.net, NULL, mls_net_input(&r.net, 4, 4, 2), -1, NULL), -1);
    T_EQ_INT(r.net.status, MLS_ERROR_ARGUMENT);
}

/* Notes what it let pass, when nobody waits for it. */
static float late_sum;
static void late_pass(const mls_work *w)
{
    memcpy(w->y, w->x[0], (size_t)w->out.h * (size_t)w->out.w * (size_t)w->out.c * sizeof(float));
}
static void late_note(const mls_work *w)
{
    const size_t count = (size_t)w->out.n * (size_t)w->out.h * (size_t)w->out.w * (size_t)w->out.c;
    late_sum = 0;
    for (size_t i = 0; i < count; i++) late_sum += fabsf(w->y[i]);
}

/* Neither a relu nor, in inference, a batch norm overwrites what is noted. */
static void custom_layers_read_late(void)
{
    static const mls_step steps[] = {
        {0, MLS_EACH, MLS_X, MLS_Y, late_pass}, {0, MLS_AFTER, MLS_Y, 0, late_note}, MLS_STEPS_END};
    static const mls_layer_kind late = {"late", 0, NULL, NULL, steps, NULL, NULL, NULL};
    static const char *const after[] = {"s2 1 2|g3|z4", "r2|g3|z4", "n2|g3|z4"};
    mls_net_desc desc = desc_fp32(2);
    float sum = 0;
    desc.inference = 1;
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        rig r;
        mls_net_begin(&r.net, &desc, r.nodes, 64);
        build(&r.net, "i4 4 1|c0 2 3 1 1");
        mls_net_custom(&r.net, &late, 1, -1, NULL);
        build(&r.net, after[i]);
        T_REQUIRE(rig_bind(&r));
        if (i == 2) mls_net_weights(&r.net, 3, 0, NULL)[0] = 7;
        make_images(2, 16, 2, 1);
        T_EQ_INT(mls_net_evaluate(&r.net, some_images, NULL, 2, NULL), MLS_OK);
        if (i == 0) sum = late_sum;
        T_CHECK(sum > 0 && late_sum == sum);
        rig_free(&r);
    }
}

#define CUSTOM_TESTS                                                                           \
    T_TEST(custom_layers_read_late), T_TEST(custom_layers_train), T_TEST(custom_layers_named), \
        T_TEST(custom_layers_refused)
