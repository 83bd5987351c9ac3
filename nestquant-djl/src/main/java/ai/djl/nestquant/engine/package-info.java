/** The DJL engine NestQuant: models, translators and text generation. */
package ai.djl.nestquant.engine;
