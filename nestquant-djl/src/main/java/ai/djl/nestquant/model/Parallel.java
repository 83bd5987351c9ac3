package ai.djl.nestquant.model;

import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** Loops over several threads that touch native memory. */
final class Parallel {

    private Parallel() {}

    /**
     * Calls a body for each index, on several threads.
     *
     * <p>Returns only when no thread is left in the body: a parallel stream alone would throw while
     * others still write to memory that is freed next.
     *
     * @param count the number of indices
     * @param body takes 0 to count − 1; after a failure the rest may be left out
     * @throws RuntimeException what a body threw first
     */
    static void forEach(int count, IntConsumer body) {
        AtomicReference<RuntimeException> failure = new AtomicReference<>();
        IntStream.range(0, count)
                .parallel()
                .filter(index -> failure.get() == null)
                .forEach(
                        index -> {
                            try {
                                body.accept(index);
                            } catch (RuntimeException e) {
                                failure.compareAndSet(null, e);
                            }
                        });
        if (failure.get() != null) {
            throw failure.get();
        }
    }
}
