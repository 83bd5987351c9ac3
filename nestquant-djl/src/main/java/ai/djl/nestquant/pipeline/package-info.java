/** What one does with a model: generate, score, describe; each gives a report. */
package ai.djl.nestquant.pipeline;
