package ai.djl.nestquant.engine;

/**
 * Tokens by falling score, rising id on ties, sorted only as far as asked for.
 *
 * <p>A binary heap that leaves what it gives out, best last, at the end of its array: O(n) to
 * start, O(log n) for each further rank. Not safe for concurrent use; allocates only when the
 * number of tokens grows.
 */
final class RankedTokens {

    private int[] ids = {};
    private float[] scores;
    private int count;
    private int heapSize;

    /**
     * Starts anew.
     *
     * @param scores scores by id; must not change while ranks are asked for
     * @param count the number of tokens
     */
    void reset(float[] scores, int count) {
        if (ids.length < count) {
            ids = new int[count];
        }
        this.scores = scores;
        this.count = count;
        heapSize = count;
        for (int id = 0; id < count; id++) {
            ids[id] = id;
        }
        for (int parent = count / 2 - 1; parent >= 0; parent--) {
            siftDown(parent);
        }
    }

    /**
     * Returns the token of a rank.
     *
     * @param rank 0 for the best
     * @return its id
     */
    int get(int rank) {
        while (count - heapSize <= rank) {
            int best = ids[0];
            ids[0] = ids[--heapSize];
            ids[heapSize] = best;
            siftDown(0);
        }
        return ids[count - 1 - rank];
    }

    private void siftDown(int start) {
        int moving = ids[start];
        int hole = start;
        for (int child = 2 * hole + 1; child < heapSize; child = 2 * hole + 1) {
            if (child + 1 < heapSize && precedes(ids[child + 1], ids[child])) {
                child++;
            }
            if (precedes(moving, ids[child])) {
                break;
            }
            ids[hole] = ids[child];
            hole = child;
        }
        ids[hole] = moving;
    }

    private boolean precedes(int left, int right) {
        float leftScore = scores[left];
        float rightScore = scores[right];
        return leftScore > rightScore || (leftScore == rightScore && left < right);
    }
}
